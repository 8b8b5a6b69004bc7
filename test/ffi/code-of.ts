// What a call at the native border says when it refuses.
import { NativeError } from "#ffi/handle";

/** Code of the NativeError that is thrown, or `no error`; another error goes on. */
export function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof NativeError) return error.code;
    throw error;
  }
  return "no error";
}
