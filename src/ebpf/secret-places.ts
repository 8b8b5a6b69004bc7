// Where programs take secrets on their command line: flags by the words in their names, and for some programs their own short flags. Pure
// and small on purpose: programs that are given secrets often, in the forms their manuals show.

/** What stands for a secret that was taken out. */
export const REDACTED = "[redacted]";

/** Ends of names whose value is a secret, for expressions. */
export const SECRET_WORDS =
  "pass(?:word|wd|phrase|code)?|secret|token|api[-_]?key|access[-_]?key|secret[-_]?key|private[-_]?key|auth[-_]?key|credentials?";

const SECRET_FLAG = new RegExp(`^--?[\\w.-]{0,64}(?:${SECRET_WORDS})$|^--bearer$`, "i");
const SECRET_NAME = new RegExp(`^[\\w.-]{0,64}(?:${SECRET_WORDS})$`, "i");

/**
 * What one program does with a word, given the one before it: `undefined` nothing, {@link NEXT_IS_SECRET}, {@link THIS_IS_SECRET}, or else the
 * word as it may be shown.
 */
export type Tool = (word: string, previous: string) => string | undefined;

/** Says that the word behind is a secret. No word of a command line looks so: a NUL cannot be in one. */
export const NEXT_IS_SECRET = "\0next";

/** Says that the word itself is one. */
export const THIS_IS_SECRET = "\0this";

/** Whether the word behind this one is a secret, by its name. */
export function isSecretFlag(word: string): boolean {
  return word.length <= 128 && SECRET_FLAG.test(word);
}

/** The program that a word names, or its command, if it is one of those that are given secrets in forms of their own. */
export function toolOf(word: string, previous: string): Tool | undefined {
  const name = nameOf(word);
  if (name === "htpasswd") return htpasswd();
  if (name === "aws") return awsConfigure;
  return name === "login" && nameOf(previous) === "vault" ? vaultLogin : TOOLS.get(name);
}

function nameOf(word: string): string {
  return word.slice(word.lastIndexOf("/") + 1);
}

/** What `--auth` and `--bearer` mean for whatever program. */
export const anyTool: Tool = (word, previous) => {
  if (word.startsWith("--bearer=")) return `--bearer=${REDACTED}`;
  if (word.startsWith("--auth=")) {
    const shown = authorization(word.slice("--auth=".length));
    return shown && `--auth=${shown === THIS_IS_SECRET ? REDACTED : shown}`;
  }
  return previous === "--auth" && !word.startsWith("-") ? authorization(word) : undefined;
};

/** The value of `--auth` is a way to log in, `user:secret`, or a secret. */
function authorization(value: string): string | undefined {
  if (value === "" || LOGIN_WAYS.test(value)) return undefined;
  return value.includes(":") ? cutBehind(value, ":") : THIS_IS_SECRET;
}

const LOGIN_WAYS =
  /^(?:none|basic|digest|ntlm|negotiate|kerberos|gssapi|plain|login|cram-md5|scram-sha-\d+|oauth2?|xoauth2|bearer|token|yes|no|true|false|on|off)$/i;

/** A secret right behind a flag: `-pSECRET`. */
function attached(flag: string): Tool {
  return (word) => (word.length > flag.length && word.startsWith(flag) ? flag + REDACTED : undefined);
}

/** A secret as the next word of one of the flags. */
function next(...flags: readonly string[]): Tool {
  return (word) => (flags.includes(word) ? NEXT_IS_SECRET : undefined);
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
  return at < 0 || at + border.length === text.length ? text : text.slice(0, at + border.length) + REDACTED;
}

/** `user/secret@database`. */
const oracle: Tool = (word) => {
  const [slash, at] = [word.indexOf("/"), word.lastIndexOf("@")];
  return slash > 0 && at > slash ? `${word.slice(0, slash + 1)}${REDACTED}${word.slice(at)}` : undefined;
};

/** `vault login TOKEN`; what it takes as NAME=VALUE is known by the name. */
const vaultLogin: Tool = (word, previous) => {
  const isBehindFlag = previous.startsWith("-") && (previous.includes("=") || VAULT_SWITCHES.has(previous));
  const isBare = word !== "" && !word.startsWith("-") && !/^\w{1,64}=/.test(word);
  return isBare && (nameOf(previous) === "login" || isBehindFlag) ? THIS_IS_SECRET : undefined;
};

const VAULT_SWITCHES: ReadonlySet<string> = new Set(["-no-print", "-no-store", "-token-only", "-non-interactive"]);

/** `aws configure set [profile.NAME.]aws_secret_access_key SECRET`. */
const awsConfigure: Tool = (word, previous) =>
  previous === "set" && word.length <= 128 && SECRET_NAME.test(word) ? NEXT_IS_SECRET : undefined;

/** `htpasswd -b FILE USER SECRET`, with `-n` without the file. */
function htpasswd(): Tool {
  let [isBatch, before, isValue] = [false, 3, false];
  return (word) => {
    if (isValue) isValue = false;
    else if (word.startsWith("-")) {
      isBatch ||= word.includes("b");
      if (word.includes("n")) before--;
      isValue = /[Cr]$/.test(word);
      // The word that names the program comes first.
    } else if (before-- === 1) return isBatch ? NEXT_IS_SECRET : undefined;
    return undefined;
  };
}

const TOOLS: ReadonlyMap<string, Tool> = new Map([
  ...["mysql", "mysqldump", "mysqladmin", "mysqlimport", "mysqlcheck", "mysqlshow", "mariadb", "mariadb-dump", "mariadb-admin"].map(
    (name) => [name, attached("-p")] as const,
  ),
  ...["7z", "7za", "7zr", "7zz", "rar", "unrar"].map((name) => [name, attached("-p")] as const),
  ...["sshpass", "mongo", "mongosh", "mongodump", "mongorestore"].map((name) => [name, behind("-p")] as const),
  ...["ldapsearch", "ldapmodify", "ldapadd", "ldapdelete", "ldappasswd", "ldapwhoami"].map((name) => [name, behind("-w")] as const),
  ...["zip", "unzip", "ipmitool", "sqlcmd", "bcp"].map((name) => [name, behind("-P")] as const),
  ...["useradd", "usermod", "groupadd", "groupmod"].map((name) => [name, behind("-p")] as const),
  ...["mosquitto_pub", "mosquitto_sub", "mosquitto_rr"].map((name) => [name, next("-P", "--pw")] as const),
  ...["plink", "pscp", "psftp"].map((name) => [name, next("-pw")] as const),
  ...["xfreerdp", "wlfreerdp"].map((name) => [name, attached("/p:")] as const),
  ...["smbclient", "smbget", "rpcclient"].map((name) => [name, pair("%", "-U", "--user")] as const),
  ["curl", pair(":", "-u", "--user", "-U", "--proxy-user")],
  ["redis-cli", next("-a")],
  ["openssl", next("-k", "-K", "-hmac")],
  ["sqlplus", oracle],
  // docker login, podman login, az login, oc login.
  ["login", next("-p")],
]);

/** Names of the programs whose flags alone tell. */
export const TOOL_NAMES: readonly string[] = [...TOOLS.keys()];
