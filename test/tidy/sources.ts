// Reads the project's own TypeScript as text for the tidy tests.
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

/** Root of the checkout. */
export const ROOT: string = join(import.meta.dir, "..", "..");

/** One source file: path from the root, and text. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** Every hand-written .ts file under the given top folders. */
export function sourceFiles(folders: readonly string[]): SourceFile[] {
  const files: SourceFile[] = [];
  for (const folder of folders) {
    for (const entry of readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })) {
      const path = relative(ROOT, join(entry.parentPath, entry.name));
      if (entry.isFile() && path.endsWith(".ts") && !path.endsWith(".generated.ts")) {
        files.push({ path, text: readFileSync(join(ROOT, path), "utf8") });
      }
    }
  }
  return files;
}

/** Module specifiers a file imports or re-exports, type-only ones included. */
export function importsOf(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
  const found = [...code.matchAll(/^\s*(?:import|export)\b[^;"'`]*?\bfrom\s*["']([^"']+)["']/gm)];
  const bare = [...code.matchAll(/^\s*import\s*["']([^"']+)["']/gm)];
  const dynamic = [...code.matchAll(/\bimport\s*\(\s*["']([^"']+)["']/g)];
  return [...found, ...bare, ...dynamic].map((match) => match[1] as string);
}
