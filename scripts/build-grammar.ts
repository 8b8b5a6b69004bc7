// Makes src/eql/parser.generated.ts from src/eql/eql.grammar. Does nothing when the product is newer than the grammar and this script.
import { stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { buildParserFile } from "@lezer/generator";

const grammarPath = fileURLToPath(new URL("../src/eql/eql.grammar", import.meta.url));
const productPath = fileURLToPath(new URL("../src/eql/parser.generated.ts", import.meta.url));

async function modifiedMs(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  return found?.mtimeMs ?? 0;
}

const newestInputMs = Math.max(await modifiedMs(grammarPath), await modifiedMs(fileURLToPath(import.meta.url)));
if (process.argv.includes("--force") || (await modifiedMs(productPath)) <= newestInputMs) {
  const warnings: string[] = [];
  const { parser } = buildParserFile(await Bun.file(grammarPath).text(), {
    fileName: "eql.grammar",
    typeScript: true,
    warn: (message) => warnings.push(message),
  });
  for (const warning of warnings) console.error(warning);
  // Exported values need their type written out (isolatedDeclarations); the generator leaves it out.
  const text = parser.replace("export const parser =", "export const parser: LRParser =");
  await Bun.write(productPath, `// Made from eql.grammar by scripts/build-grammar.ts.\n${text}`);
}
