import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { GuestTarget } from "../guest/target.ts";
import { run } from "../guest/tools.ts";

export interface BuiltAgent {
  readonly path: string;
  /** False when the program was there and newer than all its sources. */
  readonly built: boolean;
}

/**
 * Compiles the agent. Cargo itself decides what is stale, but takes a fifth of a second to find that nothing is; so it is
 * not even asked when the program is newer than every file it is made from.
 */
export async function buildAgent(root: string, target: GuestTarget): Promise<BuiltAgent> {
  const crate = join(root, "agent");
  const path = join(crate, "target", target.rustTarget, "release", "agent");
  const before = await modified(path);
  if (before > 0 && before > (await newestSource(crate))) return { path, built: false };
  await run(
    "cargo",
    [
      "build",
      "--release",
      "--locked",
      "--quiet",
      "--target",
      target.rustTarget,
      "--target-dir",
      join(crate, "target"),
    ],
    { cwd: crate, show: true },
  );
  const after = await modified(path);
  if (after === 0) throw new Error(`cargo did not make ${path}`);
  return { path, built: after !== before };
}

async function newestSource(crate: string): Promise<number> {
  const names = ["Cargo.toml", "Cargo.lock", ".cargo/config.toml"];
  for (const entry of await readdir(join(crate, "src"), { recursive: true })) names.push(join("src", entry));
  const times = await Promise.all(names.map((name) => modified(join(crate, name))));
  return Math.max(...times);
}

/** Milliseconds since 1970; 0 when there is no such file. */
async function modified(path: string): Promise<number> {
  return await stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
}
