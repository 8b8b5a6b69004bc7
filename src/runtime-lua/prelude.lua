-- The trusted prelude: reads records in place through LuaJIT's ffi. It is called with nothing and returns a table of functions, `k` below.
-- Compiled rule sets get `k` as `...`; a user's rule never sees it. Layout constants (H_*, E_*, T_*, F_*) are put before this text by prelude.ts.
--
-- Positions are byte offsets from the batch's first byte, as plain numbers. One record is current at a time.
--   k.open(batch)           take the batch at this address; no record is current yet
--   k.record(at)            make the record at offset `at` current; returns the offset just behind it (where the next record starts)
--   k.category()            u16 category id of the current record
--   k.seq() k.time()        header's seq as uint64_t, time as int64_t (cdata)
--   k.find(id)              offset of the entry of field `id`, or 0 when the record does not have the field
--   k.type(entry)           EntryType of the entry (0 keyword, 1 i64, 2 u64, 3 f64, 4 bool, 5 ip, 6 date)
--   k.is_array(entry)       whether the entry holds an array
--   k.count(entry)          number of values: 1 for a scalar, the element count for an array
--   k.slot(entry, i)        offset of the payload word of value i (0-based, i < count); scalars have slot 0 only
--   k.bool(slot)            boolean
--   k.str(slot)             keyword or ip as a Lua string (UTF-8 bytes)
--   k.span(slot)            offset of the first UTF-8 byte, byte length: for scans that need no Lua string
--   k.f64(slot)             f64 as a number
--   k.i64(slot) k.u64(slot) i64 or date as int64_t, u64 as uint64_t (cdata)
--   k.lo(slot) k.hi(slot)   the two halves of a 64-bit value: low word as u32, high word as i32 (signed) — plain numbers
--   k.u8(at) k.u32(at)      byte or 4-aligned word at an offset of the batch
-- Hit bits:
--   k.clear(out, words)     take the hit words at address `out` and zero `words` of them
--   k.hit(word, bit)        set bit `bit` (0…31) of hit word `word` (0-based, from `out`); predicate p of record r of a program with w words a
--                           record is k.hit(r * w + floor(p / 32), p % 32)
-- Blame: k.current[0] = p before predicate p runs, -1 outside (int32_t[1] the host reads after an error).
-- Libraries, for the compiler's own helpers: k.ffi k.bit k.string k.table k.math
local ffi = require("ffi")
local bit = require("bit")
local cast, ffi_string, fill = ffi.cast, ffi.string, ffi.fill
local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift

local U8, U32, I32 = ffi.typeof("const uint8_t *"), ffi.typeof("const uint32_t *"), ffi.typeof("const int32_t *")
local I64, U64, F64 = ffi.typeof("const int64_t *"), ffi.typeof("const uint64_t *"), ffi.typeof("const double *")
-- Signed, because bit operations give signed words and C leaves a negative double to uint32_t open.
local OUT = ffi.typeof("int32_t *")

-- The batch seen as each type. Re-pointed once a batch, so that no access makes a pointer.
local u8, u32, i32, i64, u64, f64 = cast(U8, 0), cast(U32, 0), cast(I32, 0), cast(I64, 0), cast(U64, 0), cast(F64, 0)
local out = cast(OUT, 0)

-- The current record: its offset, the word index of its first entry, its number of entries, and where fields stood in records of its shape.
local rec, first, fields, positions = 0, 0, 0, {}

-- shape → (field id → index of the first entry whose id is not smaller). A hint only: every use is checked against the record, since two
-- shapes may share a hash and a log can be made so on purpose.
local SHAPES_MAX = 1024
local shapes, shape_count = {}, 0

local k = { ffi = ffi, bit = bit, string = string, table = table, math = math, current = ffi.new("int32_t[1]", -1) }

function k.open(batch)
  u8, u32, i32, i64, u64, f64 = cast(U8, batch), cast(U32, batch), cast(I32, batch), cast(I64, batch), cast(U64, batch), cast(F64, batch)
end

local function new_shape(shape)
  if shape_count == SHAPES_MAX then
    shapes, shape_count = {}, 0
  end
  shape_count = shape_count + 1
  local made = {}
  shapes[shape] = made
  return made
end

function k.record(at)
  local word = rshift(at, 2)
  rec, first = at, word + H_BYTES / 4
  fields = rshift(u32[word + H_CATEGORY / 4], 16)
  local shape = u32[word + H_SHAPE / 4]
  positions = shapes[shape] or new_shape(shape)
  return at + u32[word + H_SIZE / 4]
end

function k.category()
  return band(u32[rshift(rec + H_CATEGORY, 2)], 0xffff)
end

function k.seq()
  return u64[rshift(rec + H_SEQ, 3)]
end

function k.time()
  return i64[rshift(rec + H_TIME, 3)]
end

local function id_at(index)
  return band(u32[first + index * (E_BYTES / 4)], 0xffff)
end

local function search(id)
  local low, high = 0, fields
  while low < high do
    local middle = rshift(low + high, 1)
    if id_at(middle) < id then
      low = middle + 1
    else
      high = middle
    end
  end
  positions[id] = low
  return low
end

function k.find(id)
  local index = positions[id]
  if index == nil or index > fields then
    index = search(id)
  elseif (index > 0 and id_at(index - 1) >= id) or (index < fields and id_at(index) < id) then
    index = search(id)
  end
  if index < fields and id_at(index) == id then
    return (first + index * (E_BYTES / 4)) * 4
  end
  return 0
end

function k.type(entry)
  return u8[entry + E_TYPE]
end

function k.is_array(entry)
  return band(u8[entry + E_FLAGS], F_ARRAY) ~= 0
end

function k.count(entry)
  if band(u8[entry + E_FLAGS], F_ARRAY) == 0 then
    return 1
  end
  return u32[rshift(rec + u32[rshift(entry + E_PAYLOAD, 2)], 2)]
end

function k.slot(entry, i)
  if band(u8[entry + E_FLAGS], F_ARRAY) == 0 then
    return entry + E_PAYLOAD
  end
  return rec + u32[rshift(entry + E_PAYLOAD, 2)] + 4 + 4 * i
end

function k.bool(slot)
  return u32[rshift(slot, 2)] ~= 0
end

function k.str(slot)
  local at = rec + u32[rshift(slot, 2)]
  return ffi_string(u8 + (at + 4), u32[rshift(at, 2)])
end

function k.span(slot)
  local at = rec + u32[rshift(slot, 2)]
  return at + 4, u32[rshift(at, 2)]
end

function k.f64(slot)
  return f64[rshift(rec + u32[rshift(slot, 2)], 3)]
end

function k.i64(slot)
  return i64[rshift(rec + u32[rshift(slot, 2)], 3)]
end

function k.u64(slot)
  return u64[rshift(rec + u32[rshift(slot, 2)], 3)]
end

function k.lo(slot)
  return u32[rshift(rec + u32[rshift(slot, 2)], 2)]
end

function k.hi(slot)
  return i32[rshift(rec + u32[rshift(slot, 2)], 2) + 1]
end

function k.u8(at)
  return u8[at]
end

function k.u32(at)
  return u32[rshift(at, 2)]
end

function k.clear(address, words)
  out = cast(OUT, address)
  fill(out, words * 4)
end

function k.hit(word, index)
  out[word] = bor(out[word], lshift(1, index))
end

return k
