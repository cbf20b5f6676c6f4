/**
 * Writes the codecs and tables of both sides of the protocol from `src/protocol/schema/`.
 *
 *     node scripts/generate-protocol.ts            writes the files that are not current
 *     node scripts/generate-protocol.ts --check    writes nothing, exits 1 when a file is not current
 */

import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { rustMessages } from "./generate-protocol-rust.ts";
import {
  rustLimits,
  rustModules,
  rustServices,
  typescriptLimits,
  typescriptServices,
} from "./generate-protocol-tables.ts";
import { typescriptMessages } from "./generate-protocol-typescript.ts";
import { validateSchema } from "./generate-protocol-validate.ts";

const root = new URL("../", import.meta.url);

export interface GeneratedFile {
  /** From the project's root. */
  readonly path: string;
  readonly text: string;
}

/** What the generated files must contain for the schema as it is. */
export function generatedFiles(): readonly GeneratedFile[] {
  validateSchema();
  return [
    { path: "src/protocol/generated/messages.ts", text: typescriptMessages() },
    { path: "src/protocol/generated/services.ts", text: typescriptServices() },
    { path: "src/protocol/generated/limits.ts", text: typescriptLimits() },
    { path: "agent/src/generated/messages.rs", text: rustMessages() },
    { path: "agent/src/generated/services.rs", text: rustServices() },
    { path: "agent/src/generated/limits.rs", text: rustLimits() },
    { path: "agent/src/generated/modules.rs", text: rustModules() },
  ];
}

/** The generated files of the checkout that are missing or differ from the schema. */
export async function outdatedFiles(): Promise<readonly GeneratedFile[]> {
  const outdated: GeneratedFile[] = [];
  for (const file of generatedFiles()) {
    if ((await readIfPresent(file.path)) !== file.text) outdated.push(file);
  }
  return outdated;
}

async function readIfPresent(path: string): Promise<string | null> {
  try {
    return await readFile(new URL(path, root), "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}

async function main(): Promise<void> {
  const check = process.argv.includes("--check");
  const outdated = await outdatedFiles();
  for (const { path, text } of outdated) {
    if (check) {
      console.error(`${path} does not match src/protocol/schema/: run \`npm run generate\` and commit it.`);
      process.exitCode = 1;
    } else {
      await writeFile(new URL(path, root), text);
      console.log(`wrote ${path}`);
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
