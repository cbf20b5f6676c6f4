import type { LogStreamOptions } from "../../../api/index.ts";
import { defineCommand, flag, repeated, value } from "../../grammar/command.ts";
import { LogPrinter, type LogView } from "../../output/log-printer.ts";
import { UsageError } from "../../output/usage-error.ts";
import { oneOf, regularExpression, wholeNumber } from "../../values/simple.ts";
import { parseTime } from "../../values/time.ts";

const sourceNames = ["stdout", "stderr", "output", "system", "all"] as const;
const colorModes = ["auto", "always", "never"] as const;
type SourceName = (typeof sourceNames)[number];
type LogSource = Exclude<SourceName, "all">;

export const logs = defineCommand({
  name: "logs",
  summary: "Show what commands in a sandbox wrote",
  details:
    "Works whether the sandbox runs or not. Sources: stdout and stderr of commands with pipes, output of commands on a terminal, system for starts, stops, the supervisor and the guest's console. A failed start is shown first.",
  examples: [
    "msb logs demo",
    "msb logs -f --tail 20 demo",
    "msb logs --source system demo",
    "msb logs --since 5m --grep 'error|warn' demo",
    "msb logs --network demo",
    "msb logs --json demo",
  ],
  operands: [{ name: "NAME", required: true, completes: "sandbox" }],
  options: {
    follow: flag({
      short: "f",
      description: "Go on with what is written from now on, until the sandbox stops",
    }),
    tail: value({
      placeholder: "COUNT",
      description: "Only the last lines",
      parse: wholeNumber(0, Number.MAX_SAFE_INTEGER),
    }),
    since: value({
      placeholder: "TIME",
      description: "From then on: 2026-05-01T13:37:00Z, or an age: 5m",
      parse: (text) => parseTime(text),
    }),
    until: value({
      placeholder: "TIME",
      description: "Before then",
      parse: (text) => parseTime(text),
    }),
    source: repeated({
      placeholder: "SOURCES",
      description: `Comma list of ${sourceNames.join(", ")} (stdout,stderr,output)`,
      parse: parseSources,
    }),
    grep: value({
      placeholder: "PATTERN",
      description: "Only lines that match this regular expression",
      parse: regularExpression,
    }),
    timestamps: flag({ description: "Put the time before each line" }),
    showId: flag({ description: "Put the number of the command's session before each line" }),
    colorSessions: flag({ description: "Give each session's lines a colour" }),
    network: flag({
      description: "What came to pass on the network instead, as msb net events shows it",
      conflicts: ["source", "timestamps", "showId", "colorSessions", "color"],
    }),
    json: flag({
      description: "Print the log's entries as JSON Lines: t time, s source, d data, id session, e encoding",
    }),
    color: value({
      placeholder: "WHEN",
      description: `Colours: ${colorModes.join(", ")} (auto)`,
      parse: oneOf(colorModes),
      choices: colorModes,
      negation: "As --color never",
    }),
  },
  run: async ({ options, operands: [name = ""] }) => {
    const { Sandbox } = await import("../../../api/index.ts");
    const handle = await Sandbox.get(name);
    if (options.network === true) {
      const { printEvents } = await import("../network/print-events.ts");
      const { follow = false, json = false, tail, since, until, grep } = options;
      await printEvents(handle, { follow, denied: false, json, tail, since, until, grep });
      return 0;
    }
    const sources = [...new Set(options.source.flat())];
    const range = {
      ...(sources.length === 0 ? {} : { sources }),
      ...(options.since === undefined ? {} : { since: options.since }),
      ...(options.until === undefined ? {} : { until: options.until }),
    };
    const view: LogView = {
      grep: options.grep ?? null,
      timestamps: options.timestamps ?? false,
      sessionIds: options.showId ?? false,
      colorSessions: options.colorSessions ?? false,
      color: options.color === false ? "never" : (options.color ?? "auto"),
      json: options.json ?? false,
    };
    const printer = new LogPrinter(view);
    printer.bootFailure(await handle.bootError());
    await print(name, range, options.tail, options.follow ?? false, printer);
    return 0;
  },
});

interface Range {
  readonly sources?: LogSource[];
  readonly since?: Date;
  readonly until?: Date;
}

async function print(
  name: string,
  range: Range,
  tail: number | undefined,
  follow: boolean,
  printer: LogPrinter,
): Promise<void> {
  const { openMarkedLog } = await import("../../../api/logs/whole-lines.ts");
  const log = await openMarkedLog(name);
  const { since, ...rest } = range;
  let from: LogStreamOptions = since === undefined ? {} : { since };
  if (tail !== undefined || !follow) {
    const entries = await log.read(range);
    await printer.all(entries, tail ?? null, follow);
    if (!follow) return;
    const last = entries.at(-1);
    if (last !== undefined) from = { fromCursor: last.cursor };
  }
  await using stream = await log.stream({ ...rest, ...from, follow: true });
  for await (const entry of stream) await printer.next(entry);
  await printer.end();
}

function parseSources(list: string): LogSource[] {
  const names = list
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
  if (names.length === 0) throw new UsageError("no source is named.", `Sources: ${sourceNames.join(", ")}`);
  const parse = oneOf(sourceNames);
  return names.flatMap((name): LogSource[] => {
    const source = parse(name);
    return source === "all" ? ["stdout", "stderr", "output", "system"] : [source];
  });
}
