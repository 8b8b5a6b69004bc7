// Takes secrets out of the texts of a process before anything else sees them: arguments, and values of environment variables. What is taken out
// becomes `[redacted]`; names, hosts and users stay, so rules still see what was done. Invariants: never throws; redacting twice is the same
// as once; time is linear in the text (expressions begin at a literal or at the border of a word, and nothing unbounded is followed by
// anything that could fail). It cannot know every secret: a bare word in no known place passes.
import { redactFirstValue, redactText } from "./redact-text.ts";
import { anyTool, isSecretFlag, NEXT_IS_SECRET, REDACTED, THIS_IS_SECRET, type Tool, toolOf } from "./secret-places.ts";

/** Texts of one process after redaction. */
export interface RedactedTexts {
  readonly texts: readonly string[];
  /** Whether anything was taken out. */
  readonly isRedacted: boolean;
}

/** What an operator asks for beside the usual: true for a text that holds a secret; it is then replaced whole. */
export type SecretTest = (text: string) => boolean;

/** Something that could be a secret: most texts have none and are not looked at further. */
const SUSPICIOUS =
  /pass|pwd|secret|token|api.?key|access.?key|private|auth.?key|credential|authorization|cookie|:\/\/[^/]*@|AKIA|ASIA|AIza|gh[pousr]_|github_pat|glpat-|xox[a-z]-|sk-|eyJ|npm_|hf_|--auth|--bearer/i;
/** Begins like a program that is given secrets in forms of its own. */
const TOOL =
  /\b(?:mysql|mariadb|curl|redis-cli|ldap|login|sqlcmd|bcp|zip|unzip|7z|rar|unrar|ipmitool|plink|pscp|psftp|[xw]l?freerdp|smb|rpcclient|mongo|sqlplus|user(?:add|mod)|group(?:add|mod)|htpasswd|openssl|mosquitto)/;

/** Programs that one command names, itself and those it only mentions: a file or an address may end in such a name. */
const TOOLS_MAX = 8;

/** See the head of this file. */
export class Redactor {
  readonly #isSecret: SecretTest | undefined;

  constructor(isSecret?: SecretTest) {
    this.#isSecret = isSecret;
  }

  /** Arguments, the program first. */
  args(args: readonly string[]): RedactedTexts {
    const whole = args.join("\0");
    if (this.#isSecret === undefined && !SUSPICIOUS.test(whole) && !TOOL.test(whole)) return { texts: args, isRedacted: false };
    return compared(
      args,
      redactWords(args, true).map((text) => this.#own(text, "")),
    );
  }

  /** Environment variables, as `NAME=value`. */
  variables(variables: readonly string[]): RedactedTexts {
    if (this.#isSecret === undefined && !SUSPICIOUS.test(variables.join("\0"))) return { texts: variables, isRedacted: false };
    const own = (text: string): string => {
      const border = text.indexOf("=") + 1;
      return this.#own(text.slice(border), text.slice(0, border));
    };
    return compared(
      variables,
      variables.map((text) => own(redactText(text))),
    );
  }

  #own(text: string, before: string): string {
    return text !== REDACTED && this.#isSecret?.(text) === true ? before + REDACTED : before + text;
  }
}

function compared(before: readonly string[], after: readonly string[]): RedactedTexts {
  const isRedacted = after.some((text, index) => text !== before[index]);
  return { texts: isRedacted ? after : before, isRedacted };
}

/** Words of a command line: what follows a flag that names a secret, what a known program takes one as, and what the text itself gives away. */
function redactWords(words: readonly string[], isArguments: boolean): string[] {
  const out: string[] = [];
  const tools = new Set<Tool>();
  let previous = "";
  let isNextSecret = false;
  for (const word of words) {
    if (!isArguments && word.trim() === "") {
      out.push(word);
      continue;
    }
    const isSecret: boolean = isNextSecret && !isFlag(word);
    const named = toolOf(word, previous);
    if (named !== undefined && tools.size < TOOLS_MAX) tools.add(named);
    const said: string | undefined = isSecret ? THIS_IS_SECRET : saidOf(tools, word, previous);
    const found: string | undefined = said !== THIS_IS_SECRET ? said : isArguments ? REDACTED : redactFirstValue(word);
    isNextSecret = !isSecret && (found === NEXT_IS_SECRET || (found === undefined && isSecretFlag(word)));
    out.push(found === undefined || found === NEXT_IS_SECRET ? redactInside(word, isArguments) : found);
    previous = word;
    // Of a shell's text the next command is another program's; by what is shown, since what was taken out again must come out the same.
    if (!isArguments && /[;|&]$/.test(out.at(-1) ?? "")) tools.clear();
  }
  return out;
}

/** Each of them hears of each word: some count. */
function saidOf(tools: ReadonlySet<Tool>, word: string, previous: string): string | undefined {
  let said: string | undefined;
  for (const tool of tools) {
    const one = tool(word, previous);
    said ??= one;
  }
  return said ?? anyTool(word, previous);
}

/** A word of the command line of a shell, or whatever else has words inside, is a command line of its own. */
function redactInside(word: string, isArguments: boolean): string {
  const value = isArguments ? word.indexOf("=") + 1 : 0;
  // One argument is one value, whatever stands in it.
  if (value > 0 && value < word.length && isSecretFlag(word.slice(0, value - 1))) return word.slice(0, value) + REDACTED;
  const isSeveral = isArguments && /\s/.test(word);
  // What is looked at in one piece goes first: a secret in quotes may have blanks.
  return isSeveral ? redactWords(redactText(word).split(/(\s+)/), false).join("") : isArguments ? redactText(word) : word;
}

function isFlag(word: string): boolean {
  return word.startsWith("--") || /^-[A-Za-z]$/.test(word);
}
