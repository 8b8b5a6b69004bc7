// The trusted prelude's text: prelude.lua behind one line that names the record layout, so the numbers have one home (schema).
// The names are locals that nothing assigns again: LuaJIT folds them to constants.
import { ENTRY_BYTES, Entry, EntryFlag, EntryType, Header, RECORD_HEADER_BYTES } from "#schema";
import text from "./prelude.lua" with { type: "text" };

const LAYOUT: readonly (readonly [name: string, value: number])[] = [
  ["H_BYTES", RECORD_HEADER_BYTES],
  ["H_SIZE", Header.Size],
  ["H_CATEGORY", Header.Category],
  ["H_SHAPE", Header.Shape],
  ["H_SEQ", Header.Seq],
  ["H_TIME", Header.Time],
  ["E_BYTES", ENTRY_BYTES],
  ["E_TYPE", Entry.Type],
  ["E_FLAGS", Entry.Flags],
  ["E_PAYLOAD", Entry.Payload],
  ["F_ARRAY", EntryFlag.Array],
  ["T_KEYWORD", EntryType.Keyword],
  ["T_I64", EntryType.I64],
  ["T_U64", EntryType.U64],
  ["T_F64", EntryType.F64],
  ["T_BOOL", EntryType.Bool],
  ["T_IP", EntryType.Ip],
  ["T_DATE", EntryType.Date],
];

/** One line of Lua that declares the record layout's numbers as locals. */
export const LAYOUT_LINE: string = `local ${LAYOUT.map(([name]) => name).join(",")} = ${LAYOUT.map(([, value]) => value).join(",")} `;

/** The prelude as LuaJIT loads it. */
export const PRELUDE: string = LAYOUT_LINE + text;
