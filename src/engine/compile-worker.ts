// Thread that compiles one rule set and ends. Entry point of a worker; see compile.ts.
import { messageOf } from "#core";
import { SchemaRegistry } from "#schema";
import { type CompileReply, type CompileRequest, compileHere } from "./compile.ts";

declare const self: Worker;

async function answer({ rules, extraFields, categories, backend, words }: CompileRequest): Promise<CompileReply> {
  try {
    const registry = new SchemaRegistry();
    for (const field of extraFields) registry.add(field);
    for (const name of categories) registry.categories.intern(name);
    return { compiled: await compileHere(rules, registry, backend, words) };
  } catch (error) {
    return { error: messageOf(error) };
  }
}

self.onmessage = async (event: MessageEvent<CompileRequest>) => {
  postMessage(await answer(event.data));
};
