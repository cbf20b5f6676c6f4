import type { PoolStatus } from "../../../api/index.ts";
import { defineCommand, flag } from "../../grammar/command.ts";
import { json } from "../../output/format.ts";
import { err, out } from "../../output/streams.ts";
import { table } from "../../output/table.ts";
import { formatOption } from "../sandbox/list.ts";

export const poolList = defineCommand({
  name: "list",
  parent: "pool",
  aliases: ["ls"],
  summary: "List the pools, and how many of their sandboxes are ready",
  details: "Sandboxes of a pool that have died are replaced.",
  examples: ["msb pool ls", "msb pool ls -q", "msb pool ls --format json"],
  options: {
    format: formatOption,
    quiet: flag({ short: "q", description: "Print only names, one a line", conflicts: ["format"] }),
  },
  run: async ({ options }) => {
    const { Sandbox } = await import("../../../api/index.ts");
    const pools = await Sandbox.listPools();
    if (options.quiet === true) {
      if (pools.length === 0) err("No pools found.\n");
      out(pools.map(({ name }) => `${name}\n`).join(""));
      return 0;
    }
    // One that is removed meanwhile is none.
    const found = await Promise.all(pools.map((pool) => pool.status().catch(() => null)));
    const statuses = found.filter((status) => status !== null);
    if (options.format === "json") out(json(statuses.map(statusJson)));
    else if (statuses.length === 0) err("No pools found.\n");
    else out(table(["NAME", "SIZE", "READY", "STARTING"], statuses.map(row)));
    return 0;
  },
});

function row({ name, size, ready, starting }: PoolStatus): string[] {
  return [name, String(size), String(ready), String(starting)];
}

function statusJson({ name, size, wanted, ready, starting }: PoolStatus): Record<string, unknown> {
  return { name, size, wanted, ready, starting };
}
