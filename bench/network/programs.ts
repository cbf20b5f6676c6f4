import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { hostTarget } from "../../guest/target.ts";

const run = promisify(execFile);

/** The programs of this folder. */
export interface Programs {
  readonly probe: string;
  readonly cable: string;
}

/** Compiles them, as static programs that run on this host and in its guests. */
export async function buildPrograms(directory: string): Promise<Programs> {
  const [probe, cable] = await Promise.all([build("probe", directory), build("cable", directory)]);
  return { probe, cable };
}

async function build(name: string, directory: string): Promise<string> {
  const output = join(directory, name);
  const source = join(import.meta.dirname, `${name}.rs`);
  const options = ["-O", "--edition", "2024", "-C", "target-feature=+crt-static"];
  await run("rustc", [...options, "--target", hostTarget().rustTarget, "-o", output, source]);
  return output;
}
