/** What this host can do at best, without a virtual machine. */
import { spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { MAX_DATA_PAYLOAD } from "../src/protocol/generated/limits.ts";

// Node's pipes to a child are socket pairs; fd 1 would be shared with the child's console.
const writer = `
  const { writeSync } = require("node:fs");
  const chunk = Buffer.alloc(${MAX_DATA_PAYLOAD});
  for (let left = Number(process.argv[1]); left > 0;) {
    try { left -= writeSync(3, chunk, 0, Math.min(left, chunk.length)); }
    catch (error) { if (error.code !== "EAGAIN") throw error; }
  }
`;

/** Reads so many bytes from another Node process over a local socket pair. @returns how long it took, ms */
export async function readThroughSocketPair(bytes: number): Promise<number> {
  const child = spawn(process.execPath, ["-e", writer, String(bytes)], {
    stdio: ["ignore", "inherit", "inherit", "pipe"],
  });
  const source = child.stdio[3] as Readable;
  let begun = 0;
  let received = 0;
  for await (const chunk of source) {
    // From the first bytes: the start of the other process is not what is measured.
    if (begun === 0) begun = performance.now();
    received += (chunk as Buffer).length;
  }
  if (received !== bytes) throw new Error(`${received} of ${bytes} bytes arrived`);
  return performance.now() - begun;
}
