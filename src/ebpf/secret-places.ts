// Where programs take secrets on their command line: flags by the words in their names, and for some programs their own short flags. Pure
// and small on purpose: programs that are given secrets often, in the forms their manuals show.

/** What stands for a secret that was taken out. */
export const REDACTED = "[redacted]";

/** Ends of names whose value is a secret, for expressions. */
export const SECRET_WORDS =
  "pass(?:word|wd|phrase|code)?|secret|token|api[-_]?key|access[-_]?key|secret[-_]?key|private[-_]?key|auth[-_]?key|credentials?";

const SECRET_FLAG = new RegExp(`^--?[\\w.-]{0,64}(?:${SECRET_WORDS})$`, "i");

/**
 * What one program does with a word, given the one before it: `undefined` nothing, `next` the word behind is a secret, or else the word as it
 * may be shown.
 */
export type Tool = (word: string, previous: string) => string | undefined;

/** Says that the word behind is a secret. No word of a command line looks so: a NUL cannot be in one. */
export const NEXT_IS_SECRET = "\0next";

/** Whether the word behind this one is a secret, by its name. */
export function isSecretFlag(word: string): boolean {
  return word.length <= 128 && SECRET_FLAG.test(word);
}

/** The program a word names, if it is one of those that are given secrets in forms of their own. */
export function toolOf(word: string): Tool | undefined {
  return TOOLS.get(word.slice(word.lastIndexOf("/") + 1));
}

/** A secret right behind a flag: `-pSECRET`. */
function attached(flag: string): Tool {
  return (word) => (word.length > flag.length && word.startsWith(flag) ? flag + REDACTED : undefined);
}

/** A secret as the next word of a flag. */
function next(flag: string): Tool {
  return (word) => (word === flag ? NEXT_IS_SECRET : undefined);
}

/** A secret behind a flag, as the next word or right behind it. */
function behind(flag: string): Tool {
  const isAttached = attached(flag);
  return (word) => (word === flag ? NEXT_IS_SECRET : isAttached(word, ""));
}

/** `user:secret` as the next word of a flag, or right behind a short one. */
function pair(border: string, ...flags: readonly string[]): Tool {
  const short = flags.filter((flag) => !flag.startsWith("--"));
  return (word, previous) => {
    if (flags.includes(previous)) return cutBehind(word, border);
    const flag = short.find((name) => word.length > name.length && word.startsWith(name));
    return flag === undefined ? undefined : flag + cutBehind(word.slice(flag.length), border);
  };
}

function cutBehind(text: string, border: string): string {
  const at = text.indexOf(border);
  return at < 0 ? text : text.slice(0, at + border.length) + REDACTED;
}

/** `user/secret@database`. */
const oracle: Tool = (word) => {
  const [slash, at] = [word.indexOf("/"), word.lastIndexOf("@")];
  return slash > 0 && at > slash ? `${word.slice(0, slash + 1)}${REDACTED}${word.slice(at)}` : undefined;
};

const TOOLS: ReadonlyMap<string, Tool> = new Map([
  ...["mysql", "mysqldump", "mysqladmin", "mysqlimport", "mysqlcheck", "mysqlshow", "mariadb", "mariadb-dump", "mariadb-admin"].map(
    (name) => [name, attached("-p")] as const,
  ),
  ...["7z", "7za", "7zr", "7zz", "rar", "unrar"].map((name) => [name, attached("-p")] as const),
  ...["sshpass", "mongo", "mongosh", "mongodump", "mongorestore"].map((name) => [name, behind("-p")] as const),
  ...["ldapsearch", "ldapmodify", "ldapadd", "ldapdelete", "ldappasswd", "ldapwhoami"].map((name) => [name, behind("-w")] as const),
  ...["zip", "unzip", "ipmitool", "sqlcmd", "bcp"].map((name) => [name, behind("-P")] as const),
  ...["plink", "pscp", "psftp"].map((name) => [name, next("-pw")] as const),
  ...["xfreerdp", "wlfreerdp"].map((name) => [name, attached("/p:")] as const),
  ...["smbclient", "smbget", "rpcclient"].map((name) => [name, pair("%", "-U", "--user")] as const),
  ["curl", pair(":", "-u", "--user", "-U", "--proxy-user")],
  ["redis-cli", next("-a")],
  ["sqlplus", oracle],
  // docker login, podman login, az login, oc login.
  ["login", next("-p")],
]);

/** Names of the programs that have forms of their own. */
export const TOOL_NAMES: readonly string[] = [...TOOLS.keys()];
