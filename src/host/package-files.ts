import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

// A bundle lies as deep in `dist/` as this file does in `src/`.

/** True when this file runs as it stands in the repository, false when it runs as part of a bundle in `dist/`. */
export const fromSource = import.meta.url.endsWith(".ts");

const architectures: Readonly<Record<string, string>> = { x64: "x86_64", arm64: "aarch64" };

/** This host's processor as QEMU and the kernel call it. */
export function hostArchitecture(): string {
  return architectures[process.arch] ?? process.arch;
}

/** The version in package.json. */
export function packageVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  const description: unknown = JSON.parse(text);
  if (typeof description === "object" && description !== null && "version" in description) {
    return String(description.version);
  }
  throw new Error("package.json of microsandbox has no version");
}

/** Guest kernel, initramfs, agent, the embedded image and the blank upper disk, as `npm run build` made them. */
export function guestDirectory(): string {
  return fileURLToPath(
    new URL(`${fromSource ? "../../dist" : ".."}/guest/${hostArchitecture()}`, import.meta.url),
  );
}

/** The program that owns one sandbox. */
export function supervisorProgram(): string {
  return fileURLToPath(new URL(`../supervisor/main.${fromSource ? "ts" : "js"}`, import.meta.url));
}
