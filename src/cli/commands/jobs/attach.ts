import type { JobEvent } from "../../../api/index.ts";
import { JobLostError } from "../../../errors/index.ts";
import { defineCommand, flag, value } from "../../grammar/command.ts";
import { commandOptions } from "../../guest-command.ts";
import { isInterrupted, onInterruption, untilExit } from "../../output/interrupt.ts";
import { err, writeAll } from "../../output/streams.ts";
import { UsageError } from "../../output/usage-error.ts";
import { connectTerminal, forwardInput } from "./job-input.ts";

/** What somebody who looks in is shown first. Bytes. */
const defaultReplay = 16 * 1024;
const units: Readonly<Record<string, number>> = { "": 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 };

export const attach = defineCommand({
  name: "attach",
  summary: "Follow a job: what it prints, its end, and its input",
  details: `A job on a terminal gets this one, and the detach keys leave it; any other job is left with Ctrl-C. It goes on either way, and however slowly its output is read: what is rotated out of the log meanwhile is told. What comes on stdin goes to a job that has an input ("msb exec -d -i"); its end does not: "msb jobs --eof" ends the job's. The exit code is the job's.`,
  examples: [
    "msb attach demo 3f9a1c02",
    "msb attach --replay all --read-only demo 3f9a1c02",
    "echo reload | msb attach demo 3f9a1c02",
  ],
  operands: [
    { name: "NAME", required: true, completes: "sandbox" },
    { name: "JOB", required: true, completes: "job" },
  ],
  options: {
    readOnly: flag({ description: "Only read: pass on neither stdin nor the terminal's size" }),
    replay: value({
      placeholder: "SIZE",
      description: "Begin with so much of what it has printed last: 64K, 1M, all (16K)",
      parse: parseReplay,
    }),
    detachKeys: commandOptions.detachKeys,
    quiet: flag({ short: "q", description: "Print nothing but errors and the job's own output" }),
  },
  run: async ({ options, operands }) => {
    const [name = "", id = ""] = operands;
    const readOnly = options.readOnly === true;
    const { Sandbox } = await import("../../../api/index.ts");
    const job = await (await Sandbox.get(name)).getJob(id);
    const info = await job.inspect();
    const attachment = await job.attach({ readOnly, replayRecent: options.replay ?? defaultReplay });
    const detached = (): number => {
      if (options.quiet !== true) err(`\r\nDetached: job ${id} keeps running in ${name}.\n`);
      return 0;
    };
    using _interruption = onInterruption(async (reason) => {
      await attachment.detach();
      if (reason.kind === "signal") detached();
    });
    const isOwnTerminal = !readOnly && info.tty && process.stdin.isTTY && process.stdout.isTTY;
    const input = isOwnTerminal
      ? connectTerminal(attachment, options.detachKeys)
      : forwardInput(attachment, !readOnly && info.state === "running" && (info.stdin || info.tty));
    let end: Extract<JobEvent, { readonly kind: "completed" }> | null = null;
    try {
      for (let event = await attachment.recv(); event !== null; event = await attachment.recv()) {
        if (event.kind === "completed") end = event;
        else if (event.kind === "output")
          await writeAll(event.source === "stderr" ? process.stderr : process.stdout, event.data);
        else if (options.quiet !== true)
          err(
            `${isOwnTerminal ? "\r\n" : ""}msb: ${String(event.bytes)} bytes of its output are not in the log.\n`,
          );
      }
    } finally {
      input[Symbol.dispose]();
    }
    if (isInterrupted()) return await untilExit();
    if (end === null) return detached();
    if (end.state === "exited") return end.code ?? 1;
    // It says why.
    await job.wait();
    throw new JobLostError(`job ${id} of sandbox ${name} was lost`);
  },
});

/** @returns bytes */
function parseReplay(text: string): number {
  if (text === "all") return Infinity;
  const [, digits, unit] = /^(\d+)(?:([KMG])(?:I?B)?)?$/.exec(text.toUpperCase()) ?? [];
  const bytes = Number(digits) * (units[unit ?? ""] ?? NaN);
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new UsageError(`"${text}" is not how much to replay.`, "Sizes are written 4096, 64K or 1M; or all");
}
