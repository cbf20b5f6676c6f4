import { fileURLToPath } from "node:url";

// A bundle lies as deep in `dist/` as this file does in `src/`.

/** True when this file runs as it stands in the repository, false when it runs as part of a bundle in `dist/`. */
export const fromSource = import.meta.url.endsWith(".ts");

const architectures: Readonly<Record<string, string>> = { x64: "x86_64", arm64: "aarch64" };

/** Guest kernel, initramfs, agent, the embedded image and the blank upper disk, as `npm run build` made them. */
export function guestDirectory(): string {
  const name = architectures[process.arch] ?? process.arch;
  return fileURLToPath(new URL(`${fromSource ? "../../dist" : ".."}/guest/${name}`, import.meta.url));
}

/** The program that owns one sandbox. */
export function supervisorProgram(): string {
  return fileURLToPath(new URL(`../supervisor/main.${fromSource ? "ts" : "js"}`, import.meta.url));
}
