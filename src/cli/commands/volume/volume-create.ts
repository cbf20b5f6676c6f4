import { VolumeKinds } from "../../../config/volumes/volume-config.ts";
import { defineCommand, flag, repeated, value } from "../../grammar/command.ts";
import { out } from "../../output/streams.ts";
import { UsageError } from "../../output/usage-error.ts";
import { parseLabel } from "../../values/pairs.ts";
import { filled, oneOf } from "../../values/simple.ts";
import { parseSizeMib } from "../../values/size.ts";

export const volumeCreate = defineCommand({
  name: "create",
  parent: "volume",
  summary: "Create a named volume, and print its name",
  examples: [
    "msb volume create cache",
    "msb volume create cache --quota 2G",
    "msb volume create data --kind disk --size 10G",
  ],
  operands: [{ name: "NAME", required: false }],
  options: {
    name: value({ placeholder: "NAME", description: "The same as the operand", parse: filled("a name") }),
    kind: value({
      placeholder: "KIND",
      description: "dir, a directory of this computer; or disk, an ext4 disk in one file (dir)",
      choices: VolumeKinds,
      parse: oneOf([...VolumeKinds, "directory"]),
    }),
    size: value({ placeholder: "SIZE", description: "What a disk can hold", parse: parseSizeMib }),
    quota: value({
      placeholder: "SIZE",
      description: "How much guests may add to a directory",
      parse: parseSizeMib,
    }),
    label: repeated({
      placeholder: "KEY[=VALUE]",
      description: "Label of the volume. Repeatable",
      parse: parseLabel,
    }),
    quiet: flag({ short: "q", description: "Print nothing but errors" }),
  },
  run: async ({ options, operands: [operand] }) => {
    const { kind, size, quota, label } = options;
    if (operand !== undefined && options.name !== undefined)
      throw new UsageError("the name is given twice.", "Give it once");
    const name = operand ?? options.name;
    if (name === undefined) throw new UsageError("no volume is named.", "msb volume create NAME");
    if (kind === "disk" && size === undefined)
      throw new UsageError("a disk has a size.", "Say how much it can hold, such as --size 10G");
    if (kind === "disk" && quota !== undefined)
      throw new UsageError("a disk has no quota.", "Its --size is what it can hold");
    if (size !== undefined && kind !== "disk") {
      throw new UsageError(
        "only a disk has a size.",
        "Say --kind disk --size SIZE for a disk, or --quota SIZE for a limit of a directory",
      );
    }
    const { Volume } = await import("../../../api/index.ts");
    const volume = await Volume.create({
      name,
      kind: kind ?? null,
      sizeMib: size ?? null,
      quotaMib: quota ?? null,
      labels: label,
    });
    if (options.quiet !== true) out(`${volume.name}\n`);
    return 0;
  },
});
