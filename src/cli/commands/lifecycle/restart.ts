import { askedSecrets } from "../../ask-secrets.ts";
import { defineBulkCommand } from "../../bulk-command.ts";
import { flag, value } from "../../grammar/command.ts";
import { parseDurationMs } from "../../values/duration.ts";

export const restart = defineBulkCommand({
  name: "restart",
  summary: "Stop sandboxes and start them again",
  details: "Files are kept. A sandbox that does not run is just started.",
  examples: ["msb restart demo", "msb restart -f demo"],
  options: {
    force: flag({ short: "f", description: "Kill instead of an orderly stop" }),
    timeout: value({
      short: "t",
      placeholder: "SECONDS",
      description: "How long the orderly stop may take (10); 0 kills",
      parse: parseDurationMs,
      conflicts: ["force"],
    }),
  },
  doing: "Restarting",
  done: "Restarted",
  act: async (sandboxes, name, options, progress) => {
    const handle = await sandboxes.get(name);
    const secrets = await askedSecrets(handle, progress);
    await handle.restart({
      secrets,
      ...progress.observer,
      detached: true,
      ...(options.force === true ? { force: true } : {}),
      ...(options.timeout === undefined ? {} : { timeoutMs: options.timeout }),
    });
  },
});
