// Hints for syntax errors around the steps of sequences, samples and joins, around lineage and pipes. They look at the text before the error
// with everything inside brackets taken out.
const SEVERAL = /^\s*(sequence|sample|join)\b/;
const PIPES = /^(head|tail|filter|sort|unique|count|unique_count)$/;
/** Strings and comments, in which brackets and words mean nothing. */
const QUIET = /"""[^\n]*?"""|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;

/** The text with each bracketed part as `[]`, and how many brackets are open at its end. */
function outline(text: string): { readonly outer: string; readonly open: number } {
  const plain = text.replace(QUIET, (piece) => (piece.startsWith("/") ? " " : '""'));
  let outer = "";
  let open = 0;
  for (const character of plain) {
    if (character === "]") open = Math.max(0, open - 1);
    if (open === 0) outer += character;
    if (character === "[") {
      if (open === 0) outer += "[";
      open++;
    }
  }
  return { outer: outer.replaceAll("[[", "["), open };
}

/** What is wrong with a token that the parser did not expect; `undefined` when it has nothing to do with steps. */
export function stepHint(token: string, before: string): string | undefined {
  const { outer, open } = outline(before);
  const inside = insideHint(token, before.replace(QUIET, '""'));
  if (inside !== undefined) return inside;
  if (/\bof\s*$/.test(outer)) return ", the query about the other process stands in [ ]";
  if (token === "[") {
    const relation = /\b(child|descendant|event)\s*$/.exec(before)?.[1];
    if (relation !== undefined) return `, write ${relation} of [`;
    const keyword = /^\s*(SEQUENCE|SAMPLE|JOIN|Sequence|Sample|Join)\s*$/.exec(outer)?.[1];
    if (keyword !== undefined) return `, keywords are lower case: ${keyword.toLowerCase()}`;
  }
  if (open === 0 && PIPES.test(token)) return ", a pipe begins with |";
  return open === 0 && SEVERAL.test(outer) ? outsideHint(token, outer) : undefined;
}

/** Right behind a [ that begins an event. */
function insideHint(token: string, before: string): string | undefined {
  if (!/(^\s*(sequence|sample|join)\b|\bof\s*\[)/.test(before)) return undefined;
  if (/\[\s*$/.test(before)) return ", an event is written category where condition, for example [any where true]";
  return token === "]" && /\[\s*[\w."`]+\s*$/.test(before) ? ", where and a condition are missing before it" : undefined;
}

/** Between the steps. */
function outsideHint(token: string, outer: string): string | undefined {
  const parameter = /\b(maxspan|runs)\s*$/.exec(outer)?.[1];
  if (parameter !== undefined) return `, write ${parameter}=${/^\d/.test(token) ? token : parameter === "runs" ? "3" : "30s"}`;
  if (/\bmaxspan\s*=\s*[\d.]+\s*$/.test(outer)) return ", units of maxspan are ms, s, m, h, d";
  if (/\bas\s*$/.test(outer)) return ", a name is missing before it";
  if (token === "maxspan" || token === "runs") return `, write with ${token}=…`;
  if (/\b(maxspan|runs)\s*=\s*$/.test(outer) && /^[-+]/.test(token)) return ", it has no sign";
  if (token === "[" && /\buntil\b/.test(outer)) return ", until comes behind the last step";
  if (/\buntil\s*$/.test(outer)) return ", until needs an event in [ ]";
  if (token === "," && /\]\s*$/.test(outer)) return ", steps stand one behind the other without a comma";
  if (/^[\p{L}_]/u.test(token) && /[\]\w`"]\s*$/.test(outer)) {
    return outer.includes("[") ? ", expected the next [, or by, with, as, until or |" : ", expected by, with or the first [";
  }
  return undefined;
}

/** What is missing at the end of a query over several events. */
export function missingEnd(text: string): string | undefined {
  const { outer, open } = outline(text);
  if (open > 0) return open === 1 ? "a [ is not closed" : `${open} [ are not closed`;
  if (!SEVERAL.test(outer)) return undefined;
  if (!outer.includes("[")) return "steps in [ ] are missing";
  return /\buntil\s*$/.test(outer) ? "until needs an event in [ ]" : undefined;
}
