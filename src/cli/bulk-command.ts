import type { Sandbox } from "../api/index.ts";
import { forEachName, type BulkAction } from "./bulk.ts";
import {
  defineCommand,
  flag,
  type AnyCommand,
  type CommandSpec,
  type Invocation,
  type OptionSpecs,
} from "./grammar/command.ts";
import type { Progress } from "./output/progress.ts";
import { labelOption, sandboxNames, select } from "./selection.ts";

/** A command that does the same to each of several sandboxes, named or chosen by their labels. */
export interface BulkCommandSpec<S extends OptionSpecs>
  extends Omit<CommandSpec<S>, "operands" | "run">, Pick<BulkAction, "doing" | "done"> {
  /** What cannot be done for one sandbox is thrown. @returns what was done, where it is something else than `done` */
  act(
    this: void,
    sandboxes: typeof Sandbox,
    name: string,
    options: Invocation<S>["options"],
    progress: Progress,
  ): Promise<string | undefined | void>;
}

/** @param spec.options its own ones, before `--label` and `--quiet`, which all have */
export function defineBulkCommand<const S extends OptionSpecs>(spec: BulkCommandSpec<S>): AnyCommand {
  const { doing, done, act, options, ...rest } = spec;
  const shared = { label: labelOption, quiet: flag({ short: "q", description: "Print nothing but errors" }) };
  const command = defineCommand({
    ...rest,
    operands: [sandboxNames],
    options: shared,
    run: async ({ options: given, operands, logLevel }) => {
      const names = await select(operands, given.label);
      const { Sandbox: sandboxes } = await import("../api/index.ts");
      return forEachName(names, {
        ...{ quiet: given.quiet ?? false, logLevel, doing, done },
        // The parsers fill in those of both, so the values have the types that S says.
        act: (name, progress) => act(sandboxes, name, given as Invocation<S>["options"], progress),
      });
    },
  });
  return { ...command, options: { ...options, ...shared } };
}
