import { askedSecrets } from "../../ask-secrets.ts";
import { defineBulkCommand } from "../../bulk-command.ts";
import { flag } from "../../grammar/command.ts";

export const start = defineBulkCommand({
  name: "start",
  summary: "Start stopped sandboxes",
  details:
    "They run until they are stopped, independent of this command. The value of a secret that is not kept on this host is taken from the environment variable of its name; on a terminal it is asked for.",
  examples: ["msb start demo", "msb start --label stage=test"],
  options: {
    fresh: flag({ description: "Start suspended ones without their memory, as after a loss of power" }),
  },
  doing: "Starting",
  done: "Started",
  act: async (sandboxes, name, { fresh }, progress) => {
    const handle = await sandboxes.get(name);
    const secrets = await askedSecrets(handle, progress);
    await handle.startDetached({ ...progress.observer, secrets, fresh });
  },
});
