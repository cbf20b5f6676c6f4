import { defineCommand, type AnyCommand } from "../../grammar/command.ts";
import type { CommandEntries } from "../../grammar/entries.ts";
import type { ParserOutput } from "../../grammar/program.ts";
import { err, out } from "../../output/streams.ts";

/** `msb help run` is `msb run --help`. */
export function helpFor(entries: CommandEntries, output: ParserOutput = { out, err }): AnyCommand {
  return defineCommand({
    name: "help",
    summary: "Show the help of msb or of one of its commands",
    examples: ["msb help", "msb help run", "msb help image pull"],
    operands: [
      {
        name: "COMMAND",
        required: false,
        repeated: true,
        completes: entries.flatMap(({ names: [name = ""] }) => (name.startsWith("_") ? [] : [name])),
      },
    ],
    options: {},
    run: async ({ operands }) => {
      const { parse } = await import("../../grammar/program.ts");
      const code = await parse(entries, [...operands, "--help"], null, output);
      if (typeof code !== "number") throw new Error("a command was to be run where help was asked for");
      return code;
    },
  });
}
