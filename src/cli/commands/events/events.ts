import type { EventData } from "../../../api/index.ts";
import { defineCommand, repeated, value } from "../../grammar/command.ts";
import { jsonLine, tableTime } from "../../output/format.ts";
import { oneLine } from "../../output/sanitize.ts";
import { writeAll } from "../../output/streams.ts";
import { filled, wholeNumber } from "../../values/simple.ts";
import { formatOption } from "../sandbox/list.ts";

export const events = defineCommand({
  name: "events",
  summary: "Show what comes to pass in a sandbox from now on",
  details: `A line for each event until the sandbox stops: its time, who tells of it, its name and what it says. "guest" is a program in the sandbox (msb-emit NAME JSON), "lifecycle" the sandbox itself, "network" its network, "files" a path that is watched. "dropped": so many events came faster than they were printed. What came before is not kept.`,
  examples: [
    "msb events demo",
    "msb events --name build* --name lifecycle:* demo",
    "msb events --watch /work --format json demo",
    "msb events --name ready --count 1 demo",
  ],
  operands: [{ name: "NAME", required: true, completes: "sandbox" }],
  options: {
    name: repeated({
      placeholder: "NAME",
      description: "Only these; * at the end stands for everything. Repeatable",
      parse: filled("a name"),
    }),
    watch: repeated({
      placeholder: "PATH",
      description: "Also what happens to this file, or in this directory, of the guest. Repeatable",
      parse: filled("a path"),
    }),
    count: value({
      placeholder: "COUNT",
      description: "End after so many",
      parse: wholeNumber(1, Number.MAX_SAFE_INTEGER),
    }),
    format: formatOption,
  },
  run: async ({ options, operands: [name = ""] }) => {
    const { Sandbox } = await import("../../../api/index.ts");
    const { name: names, watch, count = Number.POSITIVE_INFINITY, format } = options;
    const handle = await Sandbox.get(name);
    await using found = handle.events({ names, watch });
    let shown = 0;
    for await (const event of found) {
      // Whoever reads slowly is told what he missed, and fills no memory of ours.
      await writeAll(process.stdout, format === "json" ? eventJson(event) : eventLine(event));
      if (++shown >= count) break;
    }
    return 0;
  },
});

function eventJson({ time, ...event }: EventData): string {
  return jsonLine({ t: time.toISOString(), ...event });
}

function eventLine({ time, kind, event, data }: EventData): string {
  const said = data === undefined ? "" : ` ${JSON.stringify(data)}`;
  return `${tableTime(time)} ${kind.padEnd(9)} ${oneLine(`${event}${said}`)}\n`;
}
