// Where a worker's entry point is: beside the other rooms in a checkout, under the root of Bun's own file system in the built binary.

const BUNDLE_ROOT = "/$bunfs/root";

/** URL of a worker's module, given as `room/file.ts`. The build script lists every such file as an entry point. */
export function workerUrl(path: string): string {
  return new URL(import.meta.dir.startsWith(BUNDLE_ROOT) ? `file://${BUNDLE_ROOT}/${path}` : `../${path}`, import.meta.url).href;
}
