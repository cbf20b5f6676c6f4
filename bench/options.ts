import { parseArgs } from "node:util";

/** What can be measured; all of it unless some are named. */
export const partNames = [
  "start-stop",
  "commands",
  "command-line",
  "files",
  "mounts",
  "network",
  "tls",
  "images",
  "templates",
  "fork",
  "dashboard",
] as const;

export type PartName = (typeof partNames)[number];

/** How often each thing is done. */
const counts = {
  /** start-stop: cold starts. Round trips are measured 40 times as often, `msb ls` four times. */
  runs: 5,
  /** commands, mounts, tls: MiB of each throughput run. */
  mebibytes: 256,
  /** files: MiB of the one large file. */
  large: 512,
  /** files: how many small ones, of 4 KiB. */
  small: 10_000,
  /** mounts: files of the repository that git looks at. */
  tracked: 20_000,
  /** network, tls: seconds of each run; dashboard: seven times as long. */
  seconds: 3,
  /** tls: MiB that go up, and down, while memory is watched. */
  transfer: 1024,
  /** templates, mounts, network, fork: starts one after another. */
  starts: 50,
  /** templates: cold boots among these. */
  cold: 5,
  /** templates, fork: sandboxes created at once; templates: one every now and then. */
  burst: 20,
  /** templates, dashboard: sandboxes alive together. */
  alive: 100,
  /** templates: sandboxes that come and go. */
  loop: 500,
};

export type Counts = Readonly<typeof counts>;

export interface Options {
  readonly parts: readonly PartName[];
  readonly counts: Counts;
}

/** @throws RangeError, TypeError for what is not understood */
export function parseOptions(args: readonly string[]): Options {
  const names = Object.keys(counts) as (keyof Counts)[];
  const { values, positionals } = parseArgs({
    args: [...args],
    options: Object.fromEntries(names.map((name) => [name, { type: "string" }] as const)),
    allowPositionals: true,
  });
  const chosen = names.map((name) => {
    const value = values[name];
    return [name, typeof value === "string" ? wholeNumber(name, value) : counts[name]] as const;
  });
  return {
    parts: positionals.length === 0 ? partNames : positionals.map(partName),
    counts: { ...counts, ...Object.fromEntries(chosen) },
  };
}

function partName(text: string): PartName {
  const found = partNames.find((name) => name === text);
  if (found === undefined) throw new RangeError(`there is no part ${text}, only ${partNames.join(", ")}`);
  return found;
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`--${name} ${text} is no whole number`);
  return value;
}
