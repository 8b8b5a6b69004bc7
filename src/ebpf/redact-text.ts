// Secrets that a text gives away by itself: values behind telling names, HTTP headers, passwords in addresses, tokens and keys by their form.
// Every expression begins at a literal or at the border of a word and ends without anything that could fail behind something unbounded, so
// each is linear; a value that is already taken out stays as it is.
import { REDACTED, SECRET_WORDS } from "./secret-places.ts";

/** A value: quoted and not too long, so that an open quote cannot hide the rest of a command, or up to a character that ends one. */
const VALUE = "\\[redacted\\]|\"[^\"]{0,256}\"|'[^']{0,256}'|[\"']?[^\\s\"'&;,|]+";

const ASSIGNMENT = new RegExp(`(${SECRET_WORDS}|[;&?]\\s?pwd)(["']?\\s{0,4}[=:]\\s{0,4})(${VALUE})`, "gi");
const FLAG = new RegExp(`((?<![\\w-])--[\\w-]{0,64}(?:${SECRET_WORDS})\\s{1,4})(?!-)(${VALUE})`, "gi");
const HEADER =
  /(?<![\w-])((?:proxy-)?authorization|(?:set-)?cookie)(["']?\s{0,4}[:=]\s{0,4}["']?)((?:bearer|basic|token|digest|negotiate|apikey)\s{1,4})?([^"'\r\n]+)/gi;
const ADDRESS = /(:\/\/[^\s/:@?#"']*:)([^\s/?#"']+)@/g;
const TOKEN =
  /(?<![A-Za-z0-9_-])(?:(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[a-z]-[\w-]{10,}|sk-(?:proj-|ant-[a-z0-9]{1,8}-)?[A-Za-z0-9_]{20,}|AIza[\w-]{35}|npm_[A-Za-z0-9]{30,}|hf_[A-Za-z0-9]{30,}|eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?)/g;
const PRIVATE_KEY = /-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|$)/g;

const FIRST_VALUE = new RegExp(`^(?:${VALUE})`);

/** A word that is a secret, with what ends it there kept: `hunter2;` */
export function redactFirstValue(word: string): string {
  return word.replace(FIRST_VALUE, quotedAs);
}

/** The text without the secrets it gives away. */
export function redactText(text: string): string {
  return text
    .replace(PRIVATE_KEY, REDACTED)
    .replace(HEADER, (_all, name: string, border: string, scheme: string | undefined) => name + border + (scheme ?? "") + REDACTED)
    .replace(ADDRESS, `$1${REDACTED}@`)
    .replace(TOKEN, REDACTED)
    .replace(ASSIGNMENT, (_all, name: string, border: string, value: string) => name + border + quotedAs(value))
    .replace(FLAG, (_all, flag: string, value: string) => flag + quotedAs(value));
}

function quotedAs(value: string): string {
  const quote = value[0] ?? "";
  return value.length > 1 && (quote === '"' || quote === "'") && value.endsWith(quote) ? quote + REDACTED + quote : REDACTED;
}
