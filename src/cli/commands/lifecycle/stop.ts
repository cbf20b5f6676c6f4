import { defineBulkCommand } from "../../bulk-command.ts";
import { flag, value } from "../../grammar/command.ts";
import { parseDurationMs } from "../../values/duration.ts";

export const stop = defineBulkCommand({
  name: "stop",
  summary: "Stop sandboxes",
  details:
    "Processes get SIGTERM, file systems are flushed and the machine powers off; what takes longer than the given time is killed. Nothing is removed: msb start continues with the same files.",
  examples: ["msb stop demo", "msb stop -t 30 demo other", "msb stop --label stage=test"],
  options: {
    force: flag({ short: "f", description: "Kill at once: what was not yet written to disk is lost" }),
    timeout: value({
      short: "t",
      placeholder: "SECONDS",
      description: "How long the orderly stop may take (10); 0 kills",
      parse: parseDurationMs,
      conflicts: ["force"],
    }),
  },
  doing: "Stopping",
  done: "Stopped",
  act: async (sandboxes, name, options, progress) => {
    const handle = await sandboxes.get(name);
    if (handle.status === "suspended") {
      progress.observer.onNotice(
        `${name} is suspended: nothing of it runs, and its memory stays on the disk (msb start --fresh ${name} gives it up)`,
      );
      return "Left suspended";
    }
    if (options.force === true) await handle.kill();
    else if (options.timeout !== undefined) await handle.stopWithTimeout(options.timeout);
    else await handle.stop();
    return undefined;
  },
});
