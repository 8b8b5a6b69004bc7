// ASCII text without regard to case: the one folding that needs no table, so that also the kernel can do it.

const UPPER_CASE = /[A-Z]/g;

/** Whether a text has ASCII characters only. */
export function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0x7f) return false;
  return true;
}

/** The text with ASCII letters in lower case. */
export function foldAscii(text: string): string {
  return text.replace(UPPER_CASE, (letter) => letter.toLowerCase());
}
