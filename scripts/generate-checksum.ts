/**
 * Assembles `src/network/checksum/kernel.wat` into the module that is loaded, `kernel-bytes.ts`.
 *
 *     node scripts/generate-checksum.ts            writes the file when it is not current
 *     node scripts/generate-checksum.ts --check    writes nothing, exits 1 when it is not current
 */

import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import initializeWabt from "wabt";

const source = new URL("../src/network/checksum/kernel.wat", import.meta.url);
const product = new URL("../src/network/checksum/kernel-bytes.ts", import.meta.url);

/** What the file must contain for the source as it is. */
export async function kernelModule(): Promise<string> {
  const wabt = await initializeWabt();
  const assembled = wabt.parseWat("kernel.wat", await readFile(source, "utf8"), { simd: true });
  assembled.validate();
  const bytes = Buffer.from(assembled.toBinary({}).buffer).toString("base64");
  assembled.destroy();
  return [
    "/** Written by scripts/generate-checksum.ts from kernel.wat. Base64 of a WebAssembly module. */",
    "export const kernelBytes =",
    `  "${bytes}";`,
    "",
  ].join("\n");
}

/** The file as it is in the checkout; empty when it is missing. */
export async function committedModule(): Promise<string> {
  return readFile(product, "utf8").catch(() => "");
}

async function main(): Promise<void> {
  const text = await kernelModule();
  if ((await committedModule()) === text) return;
  if (process.argv.includes("--check")) {
    console.error("kernel-bytes.ts does not match kernel.wat: run `npm run generate` and commit it.");
    process.exitCode = 1;
  } else {
    await writeFile(product, text);
    console.log(`wrote ${fileURLToPath(product)}`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
