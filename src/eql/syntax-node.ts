// What every reader of the Lezer tree needs: the children that mean something, and where a node stands.
import type { SyntaxNode } from "@lezer/common";
import type { Range } from "./diagnostics.ts";

const PUNCTUATION = /^[^A-Za-z]/;

/** Children that stand for something: not brackets and commas, nor the mark of a missing event. */
export function named(node: SyntaxNode): SyntaxNode[] {
  const nodes: SyntaxNode[] = [];
  for (let child = node.firstChild; child !== null; child = child.nextSibling) {
    if (!PUNCTUATION.test(child.name) && child.name !== "Missing") nodes.push(child);
  }
  return nodes;
}

/** Where a node stands. */
export function rangeOf(node: SyntaxNode): Range {
  return { from: node.from, to: node.to };
}
