// The variables of an environment that are kept with an exec: a list of names, all else is dropped where it was read. Whatever the process put
// there is data: strings without a name, doubled names, broken UTF-8, no end.

/** Variables that change what a program does or loads, or say on whose behalf it runs; those public rules test are among them. */
export const DEFAULT_VARIABLES: readonly string[] = [
  "LD_PRELOAD",
  "LD_LIBRARY_PATH",
  "LD_AUDIT",
  "LD_DEBUG",
  "GLIBC_TUNABLES",
  "GCONV_PATH",
  "BASH_ENV",
  "ENV",
  "PROMPT_COMMAND",
  "PYTHONPATH",
  "PYTHONSTARTUP",
  "PYTHONHOME",
  "PERL5LIB",
  "PERL5OPT",
  "RUBYLIB",
  "RUBYOPT",
  "NODE_OPTIONS",
  "JAVA_TOOL_OPTIONS",
  "GIT_SSH_COMMAND",
  "HISTFILE",
  "HISTSIZE",
  "HISTFILESIZE",
  "HISTCONTROL",
  "SSH_CONNECTION",
  "SSH_CLIENT",
  "SUDO_USER",
  "SUDO_COMMAND",
  "KUBECONFIG",
  "DOCKER_HOST",
  "http_proxy",
  "https_proxy",
  "all_proxy",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "ALL_PROXY",
  "RUNNER_TRACKING_ID",
];

/** Most variables kept of one exec: only an environment that repeats names has more. */
export const VARIABLES_MAX = 256;

const EQUALS = 0x3d;

/** See the head of this file. */
export class VariableFilter {
  readonly #names: ReadonlySet<string>;
  /** Of each first byte, a bit for each length of a name that begins with it: most variables are passed over for it, without making a string. */
  readonly #lengthsOf = new Uint32Array(256);
  readonly #nameBytesMax: number;

  constructor(names: readonly string[]) {
    // Compared byte for byte: one character for each byte.
    const texts = names.map((name) => Buffer.from(name, "utf8").toString("latin1"));
    this.#names = new Set(texts);
    this.#nameBytesMax = Math.max(0, ...texts.map((text) => text.length));
    for (const text of texts) this.#lengthsOf[text.charCodeAt(0)]! |= lengthBit(text.length);
  }

  /** The kept variables as `NAME=value`, in their order. The last may lack its NUL, and be cut, when the bytes were. */
  choose(bytes: Uint8Array): readonly string[] {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const chosen: string[] = [];
    for (let start = 0; start < buffer.length && chosen.length < VARIABLES_MAX; ) {
      const nul = buffer.indexOf(0, start);
      const end = nul < 0 ? buffer.length : nul;
      if (this.#isNamed(buffer, start, end)) chosen.push(buffer.toString("utf8", start, end));
      start = end + 1;
    }
    return chosen;
  }

  #isNamed(buffer: Buffer, start: number, end: number): boolean {
    const lengths = this.#lengthsOf[buffer[start]!]!;
    if (lengths === 0) return false;
    const last = Math.min(end, start + this.#nameBytesMax + 1);
    for (let at = start; at < last; at++) {
      if (buffer[at] === EQUALS) return (lengths & lengthBit(at - start)) !== 0 && this.#names.has(buffer.toString("latin1", start, at));
    }
    return false;
  }
}

/** Of a length of a name; lengths that are 32 apart share one, since shifts count modulo 32. */
function lengthBit(length: number): number {
  return 1 << length;
}
