import { confirm } from "./ask.ts";
import { formatOption } from "./commands/sandbox/list.ts";
import { defineCommand, flag, type AnyCommand } from "./grammar/command.ts";
import { bytes, json } from "./output/format.ts";
import { Progress } from "./output/progress.ts";
import { out } from "./output/streams.ts";
import { UsageError } from "./output/usage-error.ts";

/** What was removed. */
export interface Pruned {
  readonly count: number;
  /** Null when it is not known. */
  readonly bytes: number | null;
  /** The same for programs. */
  readonly report: object;
}

export interface PruneCommandSpec {
  /** What it is about, and what one of them is called. */
  readonly parent: string;
  /** Of what is removed, in the imperative. */
  readonly summary: string;
  readonly details?: string;
  readonly examples: readonly string[];
  /** Whether the user is asked before what he may need is removed. A cache is made again. */
  readonly asks: boolean;
  /** For the time that it takes. */
  readonly doing: string;
  prune(this: void): Promise<Pruned>;
}

/** A command that removes all of a kind that nobody needs. */
export function definePruneCommand(spec: PruneCommandSpec): AnyCommand {
  const { parent, summary, details, examples, asks, doing, prune } = spec;
  const yes = flag({ short: "y", description: "Do not ask" });
  const own = {
    format: formatOption,
    quiet: flag({ short: "q", description: "Print nothing but errors", conflicts: ["format"] }),
  };
  const command = defineCommand({
    name: "prune",
    parent,
    summary,
    ...(details === undefined ? {} : { details }),
    examples,
    options: { yes, ...own },
    run: async ({ options: { yes: isAgreed, format, quiet }, logLevel }) => {
      if (asks && isAgreed !== true && !(await agrees(summary))) return 1;
      using progress = new Progress({ quiet: quiet ?? format === "json", logLevel });
      await progress.start(doing);
      const { count, bytes: room, report } = await prune();
      progress.clear();
      if (format === "json") out(json(report));
      else {
        const what = `${count} ${count === 1 ? parent : `${parent}s`}`;
        progress.done("Removed", room === null ? what : `${what}, ${bytes(room)}`);
      }
      return 0;
    },
  });
  return asks ? command : { ...command, options: own };
}

/** @param what is to be done, in the imperative. @throws UsageError when there is nobody to ask */
export async function agrees(what: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new UsageError("there is nobody to ask.", "Say --yes to remove without being asked");
  }
  return await confirm(`${what}?`);
}
