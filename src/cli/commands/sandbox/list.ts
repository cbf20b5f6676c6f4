import { defineCommand, flag, value } from "../../grammar/command.ts";
import { json, jsonStatus, jsonTime, tableStatus, tableTime } from "../../output/format.ts";
import { portsCell, publishedText } from "../network/network-text.ts";
import { err, out } from "../../output/streams.ts";
import { table } from "../../output/table.ts";
import { isTerminal } from "../../../config/enums.ts";
import { describeImage } from "../../output/sandbox-text.ts";
import { filterByLabels, labelOption } from "../../selection.ts";
import { oneOf } from "../../values/simple.ts";

export const formatOption = value({
  placeholder: "FORMAT",
  description: "Output format: json",
  parse: oneOf(["json"]),
  choices: ["json"],
});

export const list = defineCommand({
  name: "list",
  aliases: ["ls"],
  summary: "List sandboxes, newest first",
  examples: ["msb ls", "msb ls --running -q", "msb ls --format json"],
  options: {
    running: flag({ description: "Only running ones", conflicts: ["stopped"] }),
    stopped: flag({ description: "Only those that do not run" }),
    label: labelOption,
    format: formatOption,
    quiet: flag({ short: "q", description: "Print only names, one a line", conflicts: ["format"] }),
  },
  run: async ({ options }) => {
    const { Sandbox } = await import("../../../api/index.ts");
    const sandboxes = filterByLabels(await Sandbox.list(), options.label).filter((sandbox) => {
      const down = isTerminal(sandbox.status);
      if (options.running === true) return !down;
      return options.stopped === true ? down : true;
    });
    if (options.format === "json") {
      const items = sandboxes.map((sandbox) => ({
        name: sandbox.name,
        status: jsonStatus(sandbox.status),
        created_at: jsonTime(sandbox.createdAt),
        image: describeImage(sandbox.config().image),
        ports: sandbox.publishedPorts.map(publishedText),
      }));
      out(json(items));
    } else if (sandboxes.length === 0) {
      err(options.running === true ? "No running sandboxes.\n" : "No sandboxes found.\n");
    } else if (options.quiet === true) {
      out(sandboxes.map((sandbox) => `${sandbox.name}\n`).join(""));
    } else {
      const rows = sandboxes.map((sandbox) => [
        sandbox.name,
        describeImage(sandbox.config().image),
        tableStatus(sandbox.status, process.stdout),
        tableTime(sandbox.createdAt),
        portsCell(sandbox.publishedPorts),
      ]);
      out(table(["NAME", "IMAGE", "STATUS", "CREATED", "PORTS"], rows));
    }
    return 0;
  },
});
