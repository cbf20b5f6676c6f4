import { text as readText } from "node:stream/consumers";
import { defineCommand } from "../../grammar/command.ts";
import { json } from "../../output/format.ts";
import { out } from "../../output/streams.ts";
import { UsageError } from "../../output/usage-error.ts";
import { formatOption } from "../sandbox/list.ts";

export const emit = defineCommand({
  name: "emit",
  summary: "Tell programs in a sandbox of an event",
  details:
    "Those that listen for its name at /run/agent.sock (msb-emit --listen NAME) get it, with JSON of at most 1 MiB as its data; - reads that from the standard input. Prints how many listen.",
  examples: ["msb emit demo reload", `msb emit demo job '{"id":7}'`, "msb emit demo job - < job.json"],
  operands: [
    { name: "NAME", required: true, completes: "sandbox" },
    { name: "EVENT", required: true },
    { name: "JSON", required: false },
  ],
  options: { format: formatOption },
  run: async ({ options: { format }, operands: [name = "", event = "", given] }) => {
    const data =
      given === undefined ? undefined : parse(given === "-" ? await readText(process.stdin) : given);
    const { Sandbox } = await import("../../../api/index.ts");
    const { listeners, missed } = await (await Sandbox.get(name)).emit(event, data);
    if (format === "json") out(json({ listeners, missed }));
    else
      out(
        `${String(listeners)} ${listeners === 1 ? "program listens" : "programs listen"}${missedText(missed)}\n`,
      );
    return 0;
  },
});

function missedText(missed: number): string {
  return missed === 0 ? "" : `, ${String(missed)} of them missed it`;
}

function parse(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch (error) {
    throw new UsageError(
      `the data is no JSON: ${error instanceof Error ? error.message : String(error)}`,
      `A text has quotes of its own: '"done"'`,
    );
  }
}
