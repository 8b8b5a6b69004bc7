// What `import path from "x.bpf.o" with { type: "file" }` gives: a path, real in the source tree, under /$bunfs in the one-file binary.
declare module "*.bpf.o" {
  const path: string;
  export default path;
}
