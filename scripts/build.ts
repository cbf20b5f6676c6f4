/**
 * `npm run build`: the agent (Rust), the guest's files, the TypeScript. Each part is skipped when nothing it is made from
 * has changed.
 *
 *     node scripts/build.ts [agent] [guest] [typescript]      only these parts
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { buildGuest } from "../guest/build.ts";
import { hostTarget } from "../guest/target.ts";
import { withLock } from "../src/host/locks/lock.ts";
import { buildAgent } from "./build-agent.ts";
import { buildTypeScript } from "./build-typescript.ts";

const ROOT = join(import.meta.dirname, "..");
const DIST = join(ROOT, "dist");

const parts = {
  agent: async (): Promise<boolean> => {
    const agent = await buildAgent(ROOT, hostTarget());
    return agent.built;
  },
  guest: async (): Promise<boolean> => {
    const target = hostTarget();
    const agent = await buildAgent(ROOT, target);
    return await buildGuest(target, agent.path, join(DIST, "guest", target.name));
  },
  typescript: async (): Promise<boolean> => await buildTypeScript(ROOT, DIST),
} as const;
type Part = keyof typeof parts;

async function main(wanted: readonly string[]): Promise<void> {
  const known = Object.keys(parts) as Part[];
  const unknown = wanted.find((name) => !Object.hasOwn(parts, name));
  if (unknown !== undefined) {
    throw new Error(`there is no part "${unknown}" to build, only ${known.join(", ")}`);
  }
  await mkdir(DIST, { recursive: true });
  // Two builds at once would write the same files.
  await withLock(join(DIST, ".build.lock"), async () => {
    for (const name of known) {
      if (wanted.length > 0 && !wanted.includes(name)) continue;
      const start = performance.now();
      const built = await parts[name]();
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      process.stdout.write(built ? `${name}: built in ${seconds} s\n` : `${name}: up to date\n`);
    }
  });
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`build failed: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
