// One comparison as a test of the kernel's: equality, lists, beginnings and whole last names of paths; users, addresses, ports, protocols. Says why
// where the kernel cannot compare as the language does. Invariant: a test is true of exactly the acts of whose events the comparison is.
import type { PolicyAct, PolicyBlock, PolicyDimension } from "#schema";
import { POLICY_TEXT_BYTES_MAX } from "#schema";
import { canonicalAddress, parseAddress } from "./address.ts";
import { foldText } from "./case-folding.ts";
import type { CompareOperator, ConditionNode, ConstantValue, FieldNode, IrNode, Pattern, ValueNode } from "./ir.ts";
import { Wild } from "./ir.ts";
import { type Formula, formulaNot, formulaOr, formulaTruth } from "./kernel-formula.ts";
import { childrenOf } from "./rule-set-facts.ts";

type Subject = "program" | "programName" | "file" | "fileName" | "user" | "address" | "port" | "transport" | "family";

const EVERYWHERE: Readonly<Record<string, Subject>> = {
  "process.executable": "program",
  "process.name": "programName",
  "user.id": "user",
  "user.effective.id": "user",
  "process.user.id": "user",
};
const SOCKETS: Readonly<Record<string, Subject>> = {
  ...EVERYWHERE,
  "destination.ip": "address",
  "destination.port": "port",
  "network.transport": "transport",
  "network.type": "family",
};
const SUBJECTS: Readonly<Record<PolicyAct, Readonly<Record<string, Subject>>>> = {
  exec: EVERYWHERE,
  open: { ...EVERYWHERE, "file.path": "file", "file.name": "fileName" },
  connect: SOCKETS,
  bind: SOCKETS,
  listen: SOCKETS,
};
const FOLDED = {
  program: "programFolded",
  programName: "programNameFolded",
  file: "fileFolded",
  fileName: "fileNameFolded",
} as const satisfies Partial<Record<Subject, PolicyDimension>>;
const NAME_OF = { program: "programName", file: "fileName" } as const;
const TRANSPORTS: ReadonlyMap<string, number> = new Map([
  ["icmp", 1],
  ["tcp", 6],
  ["udp", 17],
  ["ipv6-icmp", 58],
  ["sctp", 132],
  ["udplite", 136],
]);
const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
const PORT_MAX = 0xffff;
const USER_MAX = 0xffff_ffff;

function unknown(reason: string): Formula {
  return { kind: "unknown", reason };
}

/** The test of a condition that is no connective. */
export function kernelTest(node: ConditionNode, act: PolicyAct): Formula {
  switch (node.kind) {
    case "compare":
      return node.right.kind === "const"
        ? compared(node.operator, node.left, { act, folded: node.folded, constant: node.right.value })
        : strange(node, act);
    case "in":
      return formulaOr(node.constants.map((constant) => compared("eq", node.value, { act, folded: node.folded, constant })));
    case "like":
      return formulaOr(node.patterns.map((pattern) => patterned(node.value, pattern, act, node.folded)));
    case "textTest": {
      if (node.part.kind !== "const") return strange(node, act);
      const part = String(node.part.value);
      if (part === "") return strange(node, act);
      if (node.test === "startsWith") return patterned(node.text, [part, Wild.Many], act, node.folded);
      if (node.test === "endsWith") return patterned(node.text, [Wild.Many, part], act, node.folded);
      return strange(node, act);
    }
    case "cidr": {
      const subject = subjectOf(node.value, act);
      if (subject !== "address") return strange(node, act);
      const blocks = node.blocks.map(({ bytes, prefixBits }): PolicyBlock => {
        return bytes.length === 4 ? { bytes: [...MAPPED, ...bytes], bits: 96 + prefixBits } : { bytes, bits: prefixBits };
      });
      // An IPv6 block around ::ffff:0:0/96 holds no IPv4 address: that counts as what it stands for.
      return blocks.some(({ bits }, index) => node.blocks[index]!.bytes.length === 16 && bits < 96)
        ? { kind: "and", operands: [test("address", blocks), notMappedUnless(blocks)] }
        : test("address", blocks);
    }
    case "isNull": {
      const subject = subjectOf(node.value, act);
      return subject === undefined || subject === "transport" ? strange(node, act) : formulaTruth(false);
    }
    default:
      return strange(node, act);
  }
}

/** An address that is not IPv4, or is in one of the IPv4 blocks. */
function notMappedUnless(blocks: readonly PolicyBlock[]): Formula {
  const v4 = blocks.filter(({ bytes, bits }) => bits >= 96 && MAPPED.every((byte, index) => bytes[index] === byte));
  return formulaOr([formulaNot(test("address", [{ bytes: MAPPED, bits: 96 }])), test("address", v4)]);
}

function test(dimension: PolicyDimension, blocks: readonly PolicyBlock[]): Formula {
  return blocks.length === 0 ? formulaTruth(false) : { kind: "test", dimension, blocks };
}

function subjectOf(value: ValueNode, act: PolicyAct): Subject | undefined {
  return value.kind === "field" ? SUBJECTS[act][value.name] : undefined;
}

/** Why a comparison is none of the kernel's. */
function strange(node: ConditionNode, act: PolicyAct): Formula {
  const fields = fieldsIn(node);
  const other = fields.find(({ name }) => SUBJECTS[act][name] === undefined);
  if (other !== undefined) return unknown(`${other.name} is not known in the kernel when it has to decide`);
  const name = fields[0]?.name ?? "this";
  if (node.kind === "regex") return unknown("regular expressions are not matched in the kernel");
  return unknown(`${name} can be compared in the kernel with whole values, beginnings and last names only`);
}

function fieldsIn(node: IrNode): readonly FieldNode[] {
  return node.kind === "field" ? [node] : childrenOf(node).flatMap(fieldsIn);
}

interface Comparison {
  readonly act: PolicyAct;
  readonly folded: boolean;
  readonly constant: ConstantValue;
}

function compared(operator: CompareOperator, value: ValueNode, { act, folded, constant }: Comparison): Formula {
  const subject = subjectOf(value, act);
  if (subject === undefined) {
    const name = fieldsIn(value)[0]?.name;
    return unknown(name === undefined ? "what is compared is computed" : `${name} is not known in the kernel when it has to decide`);
  }
  if (subject === "port")
    return typeof constant === "bigint" ? portTest(operator, constant) : unknown("ports are compared with integers only");
  if (operator !== "eq") return unknown("texts are not ordered in the kernel");
  const text = String(constant);
  switch (subject) {
    case "user":
      return test(
        "user",
        /^(0|[1-9][0-9]{0,9})$/.test(text) && Number(text) <= USER_MAX ? [{ bytes: bigEndian(Number(text), 4), bits: 32 }] : [],
      );
    case "address": {
      const written = folded ? foldText(text) : text;
      const bytes = canonicalAddress(written) === written ? parseAddress(written) : undefined;
      if (bytes === undefined) return formulaTruth(false);
      return test("address", [{ bytes: bytes.length === 4 ? [...MAPPED, ...bytes] : bytes, bits: 128 }]);
    }
    case "transport": {
      const number = TRANSPORTS.get(folded ? foldText(text) : text);
      return transportTest(number === undefined ? [] : [number]);
    }
    case "family": {
      const isFour = (folded ? foldText(text) : text) === "ipv4";
      const four = test("address", [{ bytes: MAPPED, bits: 96 }]);
      return isFour ? four : (folded ? foldText(text) : text) === "ipv6" ? formulaNot(four) : formulaTruth(false);
    }
    default:
      return textTest(subject, text, true, folded);
  }
}

function transportTest(numbers: readonly number[]): Formula {
  return { kind: "test", dimension: "transport", blocks: numbers.map((number) => ({ bytes: [number], bits: 8 })) };
}

/** Numbers of the protocols whose events name a transport. */
export const NAMED_TRANSPORTS: readonly number[] = [...TRANSPORTS.values()];

function portTest(operator: CompareOperator, constant: bigint): Formula {
  const bound = Number(constant);
  switch (operator) {
    case "eq":
      return portRange(bound, bound);
    case "lt":
      return portRange(0, bound - 1);
    case "le":
      return portRange(0, bound);
    case "gt":
      return portRange(bound + 1, PORT_MAX);
    default:
      return portRange(bound, PORT_MAX);
  }
}

/** A range as the blocks it is made of, at most thirty. */
function portRange(from: number, to: number): Formula {
  const blocks: PolicyBlock[] = [];
  let low = Math.max(0, from);
  const high = Math.min(PORT_MAX, to);
  while (low <= high) {
    let size = low === 0 ? PORT_MAX + 1 : low & -low;
    while (low + size - 1 > high) size /= 2;
    blocks.push({ bytes: bigEndian(low, 2), bits: 16 - Math.log2(size) });
    low += size;
  }
  return test("port", blocks);
}

function bigEndian(number: number, bytes: number): readonly number[] {
  return Array.from({ length: bytes }, (_, index) => Math.floor(number / 2 ** (8 * (bytes - 1 - index))) % 256);
}

function patterned(value: ValueNode, pattern: Pattern, act: PolicyAct, folded: boolean): Formula {
  const subject = subjectOf(value, act);
  if (subject === undefined) return compared("eq", value, { act, folded, constant: "" });
  if (!(subject in FOLDED)) {
    return pattern.length === 1 && pattern[0] === Wild.Many && subject !== "transport"
      ? formulaTruth(true)
      : unknown("patterns are compared in the kernel with paths and names only");
  }
  const of = subject as keyof typeof FOLDED;
  const [first, second, ...more] = pattern;
  if (first === undefined || (first === Wild.Many && second === undefined)) return formulaTruth(first !== undefined);
  if (more.length === 0 && typeof first === "string") {
    if (second === undefined) return textTest(of, first, true, folded);
    if (second === Wild.Many) return textTest(of, first, false, folded);
  }
  // "*/name": every path has a slash before its last name.
  if (more.length === 0 && first === Wild.Many && typeof second === "string" && /^\/[^/]+$/.test(second) && of in NAME_OF) {
    return textTest(NAME_OF[of as keyof typeof NAME_OF], second.slice(1), true, folded);
  }
  return unknown('of patterns the kernel knows beginnings ("/tmp/*") and whole last names ("*/nc")');
}

/** A whole text or a beginning. */
function textTest(subject: keyof typeof FOLDED, text: string, isWhole: boolean, folded: boolean): Formula {
  if (text.includes("\0")) return formulaTruth(false);
  // Bytes that are no UTF-8 become this character in the event, and the other way round cannot be told.
  if (text.includes("\ufffd")) return unknown("the character U+FFFD stands for bytes the kernel does not know");
  const compares = folded ? foldText(text) : text;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the ASCII range is meant
  if (folded && !/^[\x00-\x7f]*$/.test(compares)) return unknown("without regard to case the kernel compares ASCII letters only");
  const bytes = [...new TextEncoder().encode(compares), ...(isWhole ? [0] : [])];
  if (bytes.length > POLICY_TEXT_BYTES_MAX) return unknown(`it has more than ${POLICY_TEXT_BYTES_MAX - 1} bytes`);
  if (bytes.length === 0) return formulaTruth(true);
  return test(folded ? FOLDED[subject] : subject, [{ bytes, bits: bytes.length * 8 }]);
}
