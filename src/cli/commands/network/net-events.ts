import { defineCommand, flag, value } from "../../grammar/command.ts";
import { oneOf, regularExpression, wholeNumber } from "../../values/simple.ts";
import { parseTime } from "../../values/time.ts";
import { printEvents } from "./print-events.ts";

export const netEvents = defineCommand({
  name: "events",
  parent: "net",
  summary: "Show what came to pass on a sandbox's network",
  details: `A line for each connection that was let through (OPEN), ended (CLOSE) or was refused (DENY), for each question to the resolver (DNS), and for the policy from when on it decided. It says which rule decided, counted from 0, and the name that was evidence. Works whether the sandbox runs or not.`,
  examples: [
    "msb net events demo",
    "msb net events -f --denied demo",
    "msb net events --since 5m --json demo",
  ],
  operands: [{ name: "NAME", required: true, completes: "sandbox" }],
  options: {
    follow: flag({
      short: "f",
      description: "Go on with what comes to pass from now on, until the sandbox stops",
    }),
    denied: flag({ description: "Only what was refused" }),
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
    until: value({ placeholder: "TIME", description: "Before then", parse: (text) => parseTime(text) }),
    grep: value({
      placeholder: "PATTERN",
      description: "Only lines that match this regular expression",
      parse: regularExpression,
    }),
    json: flag({ description: "Print events as JSON Lines, as network.log has them" }),
    format: value({
      placeholder: "FORMAT",
      description: "Output format: json, the same as --json",
      parse: oneOf(["json"]),
      choices: ["json"],
    }),
  },
  run: async ({ options, operands: [name = ""] }) => {
    const { Sandbox } = await import("../../../api/index.ts");
    const { follow = false, denied = false, tail, since, until, grep } = options;
    const json = options.json === true || options.format === "json";
    await printEvents(await Sandbox.get(name), { follow, denied, json, tail, since, until, grep });
    return 0;
  },
});
