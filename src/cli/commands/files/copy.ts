import type { Sandbox } from "../../../api/index.ts";
import { defineCommand, flag } from "../../grammar/command.ts";
import { completionLine, errorBlock } from "../../output/blocks.ts";
import { CopyDisplay } from "./copy-display.ts";
import { bytes } from "../../output/format.ts";
import { onInterruption } from "../../output/interrupt.ts";
import { oneLine } from "../../output/sanitize.ts";
import { err, writeAll } from "../../output/streams.ts";
import { UsageError } from "../../output/usage-error.ts";
import { parseCopyOperands, type CopyOperand } from "../../values/copy-operand.ts";

export const copy = defineCommand({
  name: "copy",
  aliases: ["cp"],
  summary: "Copy files and directories between this computer and sandboxes",
  details: `A side is NAME:/path in a running sandbox, a path of this computer (./x:y for one with a colon), or - for a tar archive on stdin or stdout. The rules are those of docker cp: what is copied goes into a directory that is there, and gets the name of what is not; of a directory that is named with /. at its end, only what is in it is copied. Modes, times, links and holes are kept. What cannot be copied is named on stderr, and the exit code is 1 then.`,
  examples: [
    "msb cp src demo:/work",
    "msb cp demo:/work/out/. results",
    "msb cp demo:/etc - | tar t",
    "tar c . | msb cp - demo:/work",
    "msb cp demo:/data other:/data",
  ],
  operands: [
    { name: "SOURCE", required: true, completes: "side" },
    { name: "DESTINATION", required: true, completes: "side" },
  ],
  options: {
    followLink: flag({
      short: "L",
      description: "Copy what links lead to, of SOURCE itself and of all below it",
    }),
    archive: flag({
      short: "a",
      description: "Keep owners; without it files are root's in a sandbox, and yours on this computer",
    }),
    quiet: flag({ short: "q", description: "Print nothing but errors" }),
  },
  run: async ({ options, operands }) => {
    const [from = "", to = ""] = operands;
    const { source, destination } = parseCopyOperands(from, to);
    if (source.kind === "archive" && process.stdin.isTTY)
      throw new UsageError(
        "there is no archive to be unpacked.",
        "Pipe one in: tar c . | msb cp - NAME:/dir",
      );
    if (destination.kind === "archive" && process.stdout.isTTY)
      throw new UsageError("an archive is nothing for a terminal.", "Send stdout to a file or to tar");
    const { copyFiles } = await import("../../../api/copy/copy-files.ts");
    const connections = new Connections();
    await using _connections = connections;
    const quiet = options.quiet ?? false;
    const begun = performance.now();
    const abort = new AbortController();
    using display = new CopyDisplay(process.stderr, from, quiet);
    const copying = (async () =>
      await copyFiles(
        source.kind === "archive"
          ? { kind: "archive", stream: process.stdin }
          : await connections.side(source),
        destination.kind === "archive"
          ? { kind: "archive", write: (part) => writeAll(process.stdout, part) }
          : await connections.side(destination),
        {
          followLinks: options.followLink ?? false,
          keepOwners: options.archive ?? false,
          signal: abort.signal,
          onProgress: (state) => display.show(state),
        },
      ))();
    // What is under way is given up on both sides before msb ends.
    using _interruption = onInterruption(async () => {
      abort.abort();
      await copying.catch(() => undefined);
    });
    const outcome = await copying;
    display.clear();
    for (const { path, message } of outcome.problems) {
      err(errorBlock({ text: `cannot copy ${below(from, path)}: ${message}` }, process.stderr));
    }
    const unnamed = outcome.problemCount - outcome.problems.length;
    if (unnamed > 0)
      err(errorBlock({ text: `and ${String(unnamed)} more could not be copied` }, process.stderr));
    const ok = outcome.problemCount === 0;
    if (!quiet && destination.kind !== "archive") {
      const target = `${from} → ${to}, ${bytes(outcome.bytes)}`;
      err(
        completionLine({ ok, verb: "Copied", target, durationMs: performance.now() - begun }, process.stderr),
      );
    }
    return ok ? 0 : 1;
  },
});

type Side = Exclude<CopyOperand, { readonly kind: "archive" }>;

/** The sandboxes that a copy is about, each connected to once. */
class Connections implements AsyncDisposable {
  readonly #sandboxes = new Map<string, Sandbox>();

  async side(operand: Side): Promise<
    | { readonly kind: "host"; readonly path: string }
    | {
        readonly kind: "sandbox";
        readonly sandbox: string;
        readonly fs: ReturnType<Sandbox["fs"]>;
        readonly path: string;
      }
  > {
    if (operand.kind === "host") return operand;
    const { Sandbox } = await import("../../../api/index.ts");
    let sandbox = this.#sandboxes.get(operand.sandbox);
    if (sandbox === undefined) {
      sandbox = await (await Sandbox.get(operand.sandbox)).connect();
      this.#sandboxes.set(operand.sandbox, sandbox);
    }
    return { ...operand, fs: sandbox.fs() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const sandbox of this.#sandboxes.values()) await sandbox[Symbol.asyncDispose]();
  }
}

/** An entry of what was copied, as one line for people. */
function below(root: string, path: Uint8Array): string {
  const text = Buffer.from(path).toString("utf8");
  return oneLine(text === "" ? root : `${root.replace(/\/+$/, "")}/${text}`);
}
