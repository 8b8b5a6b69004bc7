// The shared objects that the one-file binary carries. In the source tree these are real paths under build/lib; in the compiled binary they
// are readable only through Bun's own file calls. Nothing is opened here.
import libbpf from "../build/lib/libbpf.so" with { type: "file" };
import libelf from "../build/lib/libelf.so" with { type: "file" };
import libluajit from "../build/lib/libluajit.so" with { type: "file" };
import libwasmtime from "../build/lib/libwasmtime.so" with { type: "file" };
import libz from "../build/lib/libz.so" with { type: "file" };

/** Libraries Kestrel brings along. */
export type BundledLibrary = "libbpf" | "libelf" | "libluajit" | "libwasmtime" | "libz";

/** Where each bundled library's bytes are. */
export const BUNDLED: Readonly<Record<BundledLibrary, string>> = { libbpf, libelf, libluajit, libwasmtime, libz };
