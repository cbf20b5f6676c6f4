import { execFile, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { promisify } from "node:util";
import type { Caller } from "./caller.ts";

const run = promisify(execFile);

/** Words before a program's, with which it runs in the network namespace of a process. */
export function enterNamespace(pid: number): readonly string[] {
  return ["nsenter", `--user=/proc/${pid}/ns/user`, `--net=/proc/${pid}/ns/net`, "--preserve-credentials"];
}

export function callerIn(pid: number, host: string, probe: string): Caller {
  const [program = "", ...words] = enterNamespace(pid);
  return {
    host,
    probe,
    output: async (script) => (await run(program, [...words, "sh", "-c", script])).stdout,
  };
}

/** @throws Error when it ends before it prints anything */
export async function firstOutput(child: ChildProcess, output: Readable): Promise<string> {
  const first = await Promise.race([
    once(output, "data").then(([data]) => String(data)),
    once(child, "exit").then(() => null),
  ]);
  if (first === null) throw new Error(`${child.spawnfile} did not start`);
  return first;
}
