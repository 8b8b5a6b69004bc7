// What `import path from "x.so" with { type: "file" }` gives: a path, real in the source tree, under /$bunfs in the one-file binary.
declare module "*.so" {
  const path: string;
  export default path;
}
