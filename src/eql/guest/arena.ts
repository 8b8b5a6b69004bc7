// Two bump allocators over fixed regions behind the constants. Temporary strings live as long as one atom: generated code takes a mark and
// releases it. What is kept lives as long as the event. Running out is a trap: the host quarantines the rule that was being evaluated.
import { ARENA_END, ARENA_START, KEEP_END, KEEP_START } from "./program";

let top: usize = 0;
let keepTop: usize = 0;

/** Forgets everything of the last event. */
export function resetArenas(): void {
  top = load<u32>(ARENA_START);
  keepTop = load<u32>(KEEP_START);
}

/** Where the next temporary string will be; give it to {@link release} to forget what came after. */
export function mark(): usize {
  return top;
}

export function release(place: usize): void {
  top = place;
}

/** Room for `bytes` temporary bytes, 8-byte aligned, not cleared. */
export function allocate(bytes: usize): usize {
  const place = top;
  const end = (place + bytes + 7) & ~7;
  if (end > load<u32>(ARENA_END)) unreachable();
  top = end;
  return place;
}

/** Room for `bytes` bytes until the end of the event, 8-byte aligned, not cleared. */
export function keep(bytes: usize): usize {
  const place = keepTop;
  const end = (place + bytes + 7) & ~7;
  if (end > load<u32>(KEEP_END)) unreachable();
  keepTop = end;
  return place;
}

/** Ends a temporary string at `end`: length, zero padding, and the unused room goes back. It must be the newest allocation. */
export function finish(text: usize, end: usize): usize {
  top = seal(text, end);
  return text;
}

/** Ends a kept string likewise. */
export function finishKept(text: usize, end: usize): usize {
  keepTop = seal(text, end);
  return text;
}

/** A temporary copy of bytes as a string. */
export function copy(from: usize, end: usize): usize {
  const text = allocate(end - from + 4);
  memory.copy(text + 4, from, end - from);
  return finish(text, text + 4 + (end - from));
}

function seal(text: usize, end: usize): usize {
  store<u32>(text, <u32>(end - text - 4));
  const padded = (end + 7) & ~7;
  for (let at = end; at < padded; ++at) store<u8>(at, 0);
  return padded;
}
