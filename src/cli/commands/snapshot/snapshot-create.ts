import { GuestFlushes } from "../../../config/enums.ts";
import { defineCommand, flag, repeated, value } from "../../grammar/command.ts";
import { onInterruption } from "../../output/interrupt.ts";
import { Progress } from "../../output/progress.ts";
import { out } from "../../output/streams.ts";
import { UsageError } from "../../output/usage-error.ts";
import { parseLabel } from "../../values/pairs.ts";
import { filled, oneOf } from "../../values/simple.ts";

export const snapshotCreate = defineCommand({
  name: "create",
  parent: "snapshot",
  summary: "Capture the disk of a sandbox, or its memory too, and print its digest and path",
  examples: [
    "msb snapshot create ready --from build",
    "msb snapshot create ready --from build --integrity --label stage=test",
    "msb snapshot create warm --from server --full",
    "msb run --from-snapshot ready -- cat /etc/os-release",
  ],
  operands: [{ name: "NAME", required: true }],
  options: {
    from: value({
      placeholder: "SANDBOX",
      description: "The sandbox",
      parse: filled("a sandbox"),
      completes: ["sandbox", ""],
    }),
    destDir: value({
      placeholder: "DIR",
      description: "Where its directory is made, by its name (snapshots of MSB_HOME)",
      parse: filled("a directory"),
    }),
    group: value({
      placeholder: "GROUP",
      description: "The group that it is one of, by whose name the newest is found (SANDBOX)",
      parse: filled("a group"),
    }),
    label: repeated({
      placeholder: "KEY[=VALUE]",
      description: "Label of the snapshot. Repeatable",
      parse: parseLabel,
    }),
    force: flag({ short: "f", description: "Replace a snapshot that is there already" }),
    integrity: flag({ description: "Hash the disk and the memory, so that it can be verified" }),
    guestFlush: value({
      placeholder: "HOW",
      choices: GuestFlushes,
      description:
        "A running guest writes all to its disk and freezes it (auto, required), or is held (skip). required fails where nothing runs",
      parse: oneOf(GuestFlushes),
    }),
    full: flag({ description: "Capture the memory too, for msb restore: of a sandbox that is up" }),
    resumable: flag({ description: "The same as --full", hidden: true }),
    quiet: flag({ short: "q", description: "Print nothing but errors" }),
  },
  run: async ({ options, operands: [name = ""], logLevel }) => {
    const { from, destDir, guestFlush } = options;
    if (from === undefined)
      throw new UsageError("no sandbox is named.", `msb snapshot create ${name} --from SANDBOX`);
    const { Snapshot } = await import("../../../api/index.ts");
    const builder = Snapshot.builder(name)
      .fromSandbox(from)
      .force(options.force ?? false)
      .recordIntegrity(options.integrity ?? false)
      .resumable(options.full ?? options.resumable ?? false);
    if (guestFlush !== undefined) builder.guestFlush(guestFlush);
    if (options.group !== undefined) builder.group(options.group);
    if (destDir !== undefined) builder.destDir(destDir);
    for (const [key, text] of options.label) builder.label(key, text);
    const progress = new Progress({ quiet: options.quiet ?? false, logLevel });
    const abort = new AbortController();
    using _interruption = onInterruption(() => {
      abort.abort();
    });
    using _spinner = progress;
    await progress.start(`Capturing ${from}`);
    const { digest, path } = await builder.create({ signal: abort.signal });
    progress.done("Captured", from);
    if (options.quiet !== true) out(`${digest}\n${path}\n`);
    return 0;
  },
});
