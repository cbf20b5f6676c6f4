import { readFileSync } from "node:fs";

/** The version in package.json, which lies at the same distance from `src/cli` and from `dist/cli`. */
export function packageVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  const description: unknown = JSON.parse(text);
  if (typeof description === "object" && description !== null && "version" in description) {
    return String(description.version);
  }
  throw new Error("package.json of microsandbox has no version");
}
