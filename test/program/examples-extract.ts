import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The repository's root. */
export const root = fileURLToPath(new URL("../..", import.meta.url));

/** A fenced block of a page or of a doc comment. */
export interface Example {
  /** Path of the file it stands in, relative to the repository. */
  readonly file: string;
  /** Number of its first line in that file, from 1. */
  readonly line: number;
  /** What follows the opening fence: `ts`, `sh`, `console`, `json`… */
  readonly language: string;
  readonly code: string;
}

/** All blocks of one file. In TypeScript files, those of its doc comments. */
export function examplesOf(file: string): Example[] {
  const examples: Example[] = [];
  let open: { language: string; line: number; lines: string[] } | null = null;
  const source = readFileSync(`${root}/${file}`, "utf8").split("\n");
  for (const [index, raw] of source.entries()) {
    const line = file.endsWith(".ts") ? raw.replace(/^\s*\* ?/, "") : raw;
    const fence = /^```(\w*)$/.exec(line);
    if (fence === null) open?.lines.push(line);
    else if (open === null) open = { language: fence[1] ?? "", line: index + 2, lines: [] };
    else {
      examples.push({ file, line: open.line, language: open.language, code: `${open.lines.join("\n")}\n` });
      open = null;
    }
  }
  if (open !== null) throw new Error(`${file}:${open.line}: the block has no end`);
  return examples;
}

/** The pages that users read. */
export function pages(): string[] {
  const docs = readdirSync(`${root}/docs`).filter((name) => name.endsWith(".md"));
  return ["README.md", ...docs.map((name) => `docs/${name}`)];
}

/** The sources whose doc comments users see in their editor. */
export function publicSources(): string[] {
  return ["src/api", "src/config", "src/errors"].flatMap((folder) =>
    readdirSync(`${root}/${folder}`, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
      .map((name) => `${folder}/${name}`),
  );
}
