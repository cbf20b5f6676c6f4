import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { onInterruption } from "./output/interrupt.ts";
import { sanitize } from "./output/sanitize.ts";
import { err } from "./output/streams.ts";
import { UsageError } from "./output/usage-error.ts";

/** Questions to the user, asked on stderr because stdout is for what was asked for. */

/** A yes or no; anything that does not begin with y is a no. */
export async function confirm(question: string): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y/i.test(await lines.question(sanitize(`${question} [y/N] `)));
  } finally {
    lines.close();
  }
}

/** A line typed on the terminal that is not shown. */
export async function readHidden(question: string): Promise<string> {
  // readline puts the terminal into raw mode, and echoes to an output that nobody sees.
  const nowhere = new Writable({
    write: (_chunk, _encoding, done) => {
      done();
    },
  });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  using _interruption = onInterruption(() => {
    lines.close();
  });
  // In raw mode, Ctrl-C is a key.
  lines.on("SIGINT", () => {
    process.kill(process.pid, "SIGINT");
  });
  // Now that nothing is echoed any more.
  err(question);
  try {
    return await lines.question("");
  } finally {
    lines.close();
    err("\n");
  }
}

/** A password is not longer; more on stdin is something else. */
const MAXIMUM_BYTES = 64 * 1024;

/** Everything on stdin, without the line's end. */
export async function readLineFromPipe(): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin) {
    const bytes = chunk as Buffer;
    length += bytes.length;
    if (length > MAXIMUM_BYTES) throw new UsageError("what is on stdin is too long for a password.");
    chunks.push(bytes);
  }
  return Buffer.concat(chunks)
    .toString("utf8")
    .replace(/\r?\n$/, "");
}
