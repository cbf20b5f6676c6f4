import { longName, type OptionSpecs } from "./command.ts";

/**
 * `-o=FILE` as `-o FILE`, for options that take a value: as docker and podman read it, while getopt(3), and both parsers here,
 * would take `=FILE` for the value.
 *
 * @param specs - the options of the command that `args` belong to
 */
export function splitShortValues(specs: OptionSpecs, args: readonly string[]): string[] {
  const valued = Object.entries(specs).filter(([, spec]) => spec.kind !== "flag");
  const shorts = new Set(valued.flatMap(([, { short }]) => (short === undefined ? [] : [`-${short}`])));
  const expectValue = new Set([...shorts, ...valued.map(([key]) => `--${longName(key)}`)]);
  return args.flatMap((arg, index) => {
    const isValue = expectValue.has(args[index - 1] ?? "");
    return arg[2] === "=" && shorts.has(arg.slice(0, 2)) && !isValue
      ? [arg.slice(0, 2), arg.slice(3)]
      : [arg];
  });
}
