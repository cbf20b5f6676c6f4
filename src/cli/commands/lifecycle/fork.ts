import { GuestFlushes } from "../../../config/enums.ts";
import { askedSecrets } from "../../ask-secrets.ts";
import { defineCommand, flag, repeated, value } from "../../grammar/command.ts";
import { parsePort } from "../../network/port.ts";
import { isInterrupted, untilExit } from "../../output/interrupt.ts";
import { Progress } from "../../output/progress.ts";
import { report } from "../../output/report.ts";
import { err, out } from "../../output/streams.ts";
import { UsageError } from "../../output/usage-error.ts";
import { oneOf, wholeNumber } from "../../values/simple.ts";

const asIs = (text: string): string => text;

export const fork = defineCommand({
  name: "fork",
  aliases: ["branch"],
  summary: "Copy a running sandbox, programs and memory included",
  details:
    "The copies go on where it was, each with a name, a host name and random numbers of its own, and so does it. Their names are printed. Connections to the outside are gone in the copies, and ports are published only if they are given.",
  examples: [
    "msb fork demo --name try",
    "msb fork demo --names one two three",
    "msb fork demo --count 8",
    "msb fork demo -n web -p 8081:80",
  ],
  operands: [
    { name: "NAME", required: true, completes: "sandbox" },
    { name: "CHILD", required: false, repeated: true },
  ],
  options: {
    name: value({ short: "n", placeholder: "CHILD", description: "Name of the copy", parse: asIs }),
    names: repeated({ placeholder: "CHILD", description: "Names of copies; more may follow", parse: asIs }),
    count: value({
      placeholder: "N",
      description: "So many copies, with names that are made for them",
      parse: wholeNumber(1, 1000),
      conflicts: ["name", "names"],
    }),
    publish: repeated({
      short: "p",
      placeholder: "PORT",
      description: "Offer a port of the copy on this computer: [BIND:]HOST:GUEST[/tcp|/udp]",
      parse: parsePort,
    }),
    notify: value({
      placeholder: "SIGNAL",
      description: "Send it to the copy's programs that have a handler for it, before they go on",
      parse: asIs,
    }),
    guestFlush: value({
      placeholder: "WHEN",
      choices: GuestFlushes,
      description: "required: have everything written to the disk first; auto and skip leave it in memory",
      parse: oneOf(GuestFlushes),
    }),
    quiet: flag({ short: "q", description: "Print nothing but names and errors" }),
  },
  run: async ({ options, operands: [source = "", ...others], logLevel }) => {
    const names = [...(options.name === undefined ? [] : [options.name]), ...options.names, ...others];
    if (options.count !== undefined && names.length > 0)
      throw new UsageError("--count makes names; leave it out, or leave the names out");
    const { Sandbox } = await import("../../../api/index.ts");
    using progress = new Progress({ quiet: options.quiet ?? false, logLevel });
    try {
      await progress.start(`Forking ${source}`);
      const handle = await Sandbox.get(source);
      const secrets = await askedSecrets(handle, progress);
      const { publish: ports, notify, guestFlush, count = 1 } = options;
      const how = { ports, notify, guestFlush, secrets };
      const children =
        names.length === 0
          ? await handle.fork({ ...how, count })
          : (await handle.forkMany(names, how)).map(({ sandbox, error }) => sandbox ?? error);
      progress.clear();
      const failures = children.filter((child) => child instanceof Error);
      for (const child of children) {
        if (child instanceof Error) continue;
        await child[Symbol.asyncDispose]();
        out(`${child.name}\n`);
      }
      for (const error of failures) err(report(error, process.stderr, { stack: false }));
      return failures.length === 0 ? 0 : 1;
    } catch (error) {
      if (isInterrupted()) await untilExit();
      throw error;
    }
  },
});
