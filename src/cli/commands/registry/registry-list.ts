import { defineCommand } from "../../grammar/command.ts";
import { json } from "../../output/format.ts";
import { out } from "../../output/streams.ts";
import { table } from "../../output/table.ts";
import { formatOption } from "../sandbox/list.ts";

export const registryList = defineCommand({
  name: "list",
  parent: "registry",
  aliases: ["ls"],
  summary: "List the registries with a login; passwords are not shown",
  examples: ["msb registry ls"],
  options: { format: formatOption },
  run: async ({ options }) => {
    const { logins } = await import("../../../api/images/msb-images.ts");
    const found = await logins();
    if (options.format === "json") {
      out(json(found));
    } else if (found.length === 0) {
      out("No registries configured.\n");
    } else {
      const rows = found.map(({ registry, username, source }) => [registry, username, source]);
      out(table(["REGISTRY", "USERNAME", "SOURCE"], rows));
    }
    return 0;
  },
});
