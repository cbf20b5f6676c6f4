import { Sandbox, type SandboxBuilder } from "microsandbox";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { guestDirectory } from "../src/host/package-files.ts";
import type { BareGuest } from "./bare-guest.ts";
import type { Report } from "./report.ts";
import { timed } from "./statistics.ts";

const run = promisify(execFile);

/** Wanted of `dd` on a mount: at least so much of what a port carries. */
const wantedOfPort = 0.5;
/** Wanted of `git status` for each file: with nothing known in the guest, and once more, ms. It is 5 s and 2 s of 20,000. */
const wantedStatusMs = { first: 5000 / 20_000, again: 2000 / 20_000 } as const;
/** Wanted of `create()`: at most so many times what it takes without a mount. */
const wantedCreate = 1.1;

/** Where the same is done: a directory of the host's, the same over virtio-9p, and a disk of the guest's. */
const places = { mount: "/work", "9p": "/work9p", disk: "/own" } as const;
type PlaceName = keyof typeof places;

interface MountCounts {
  readonly mebibytes: number;
  /** Files of the repository. */
  readonly tracked: number;
  readonly rounds: number;
  /** `create()` with and without a mount. */
  readonly starts: number;
}

/**
 * Directories of the host in a guest, beside the guest's own disk and virtio-9p, which serves roots that are directories: `dd`, and
 * `git status`. Git is the host's own, mounted too.
 */
export async function measureMounts(report: Report, bare: BareGuest, counts: MountCounts): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "msb-bench-mounts-"));
  try {
    const root = join(directory, "root");
    await run("fsck.erofs", [`--extract=${root}`, join(guestDirectory(), "base.erofs")]);
    const shared = join(directory, "shared");
    await mkdir(shared);
    await makeRepository(join(shared, "repository"), counts.tracked);
    // All of this guest's root is on 9p, but for a disk of its own.
    await run("cp", ["-a", shared, join(root, "work9p")]);
    await using sandbox = await withPrograms(Sandbox.builder("mounts").image(root))
      .memory(512)
      .volume(places.mount, (m) => m.bind(shared))
      .volume(places.disk, (m) => m.namedWith("bench", "ensure-exists", "disk", 4096))
      .create();
    await output(sandbox, "ln -sf usr/lib64 /lib64");
    await sandbox.fs().copyFromHost(join(shared, "repository"), join(places.disk, "repository"));
    await measureStreams(report, sandbox, bare, counts);
    await measureStatus(report, sandbox, counts);
    await measureCreate(report, shared, counts.starts);
  } finally {
    await rm(directory, { recursive: true, force: true, maxRetries: 10 });
  }
}

function withPrograms(builder: SandboxBuilder): SandboxBuilder {
  return builder
    .volume("/usr", (m) => m.bind("/usr").readonly())
    .volume("/lib", (m) => m.bind("/usr/lib").readonly());
}

async function makeRepository(path: string, files: number): Promise<void> {
  for (let index = 0; index < files; index++) {
    const below = join(path, `d${Math.floor(index / 2000)}`, `s${Math.floor(index / 100)}`);
    if (index % 100 === 0) await mkdir(below, { recursive: true });
    await writeFile(join(below, `f${index}`), `${index}\n`);
  }
  const identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.com"];
  for (const words of [
    ["init", "-q"],
    ["add", "."],
    [...identity, "commit", "-qm", "all"],
    ["gc", "-q"],
  ]) {
    // What it does on its own in the background would be in the way.
    await run("git", ["-C", path, "-c", "gc.auto=0", ...words]);
  }
}

async function output(sandbox: Sandbox, script: string): Promise<string> {
  const result = await sandbox.shell(script);
  if (result.code !== 0) throw new Error(`${script} ended with ${result.code}: ${result.stderr()}`);
  return result.stdout();
}

type Samples = Record<PlaceName, number[]>;
const noSamples = (): Samples => ({ mount: [], "9p": [], disk: [] });
const eachPlace = Object.entries(places) as [PlaceName, string][];

async function measureStreams(
  report: Report,
  sandbox: Sandbox,
  bare: BareGuest,
  { mebibytes, rounds }: MountCounts,
): Promise<void> {
  const bytes = mebibytes << 20;
  const rate = (ms: number): number => bytes / 1e3 / ms;
  const [written, read, port] = [noSamples(), noSamples(), { out: [] as number[], in: [] as number[] }];
  for (let round = 0; round < rounds; round++) {
    for (const [name, place] of eachPlace) {
      const file = `${place}/stream`;
      const write = `dd if=/dev/zero of=${file} bs=1M count=${mebibytes} conv=fsync`;
      written[name].push(rate(await timed(() => output(sandbox, write))));
      await output(sandbox, "echo 3 > /proc/sys/vm/drop_caches");
      read[name].push(rate(await timed(() => output(sandbox, `dd if=${file} of=/dev/null bs=1M`))));
      await output(sandbox, `rm ${file}`);
    }
    port.out.push(rate(await bare.readPort(bytes)));
    port.in.push(rate(await bare.writePort(bytes)));
  }
  for (const [title, of, floor] of [
    ["written, with fsync", written, port.out],
    ["read, with nothing in the guest's memory", read, port.in],
  ] as const) {
    report.section(`dd of ${mebibytes} MiB, ${title}`);
    const mount = report.figure("a directory of the host", "MB/s", of.mount);
    report.figure("virtio-9p", "MB/s", of["9p"]);
    report.figure("a disk", "MB/s", of.disk);
    const carried = report.figure("floor: dd and a port of its own", "MB/s", floor);
    report.goal(`dd, ${title}: mount / port`, "×", wantedOfPort, mount.p50 / carried.p50, { atLeast: true });
  }
}

async function measureStatus(
  report: Report,
  sandbox: Sandbox,
  { tracked, rounds }: MountCounts,
): Promise<void> {
  const [first, again] = [noSamples(), noSamples()];
  // Git remembers what stat(2) said of each file, of which size and time are the same in all places.
  const git = "git -c safe.directory='*' -c core.checkStat=minimal -c core.trustctime=false";
  const status = async (place: string): Promise<number> =>
    await timed(async () => {
      const changed = await output(sandbox, `cd ${place}/repository && ${git} status --short`);
      if (changed !== "") throw new Error(`git finds changes in ${place}: ${changed.slice(0, 200)}`);
    });
  for (let round = 0; round < rounds; round++) {
    for (const [name, place] of eachPlace) {
      await output(sandbox, "sync; echo 3 > /proc/sys/vm/drop_caches; git --version");
      first[name].push(await status(place));
      again[name].push(await status(place));
    }
  }
  for (const [title, of, wanted] of [
    ["with nothing in the guest's memory", first, wantedStatusMs.first],
    ["once more", again, wantedStatusMs.again],
  ] as const) {
    report.section(`git status, ${tracked} files, ${title}`);
    const mount = report.figure("a directory of the host", "ms", of.mount);
    report.figure("virtio-9p", "ms", of["9p"]);
    report.figure("a disk", "ms", of.disk);
    report.goal(`git status, ${title}`, "ms", wanted * tracked, mount.p50);
  }
}

async function measureCreate(report: Report, shared: string, starts: number): Promise<void> {
  const samples = { without: [] as number[], with: [] as number[] };
  const start = async (name: keyof typeof samples): Promise<number> => {
    const builder = Sandbox.builder(`create-${name}`).image("localhost/base").memory(512).replace();
    if (name === "with") builder.volume("/mnt", (m) => m.bind(shared));
    let sandbox: Sandbox | undefined;
    const elapsed = await timed(async () => (sandbox = await builder.create()));
    await sandbox?.kill();
    return elapsed;
  };
  // The first one makes the template.
  await start("without");
  for (let round = 0; round < starts; round++) {
    for (const name of ["without", "with"] as const) samples[name].push(await start(name));
  }
  report.section("create(), from a template");
  const without = report.figure("without a mount", "ms", samples.without);
  const with_ = report.figure("with a directory of the host", "ms", samples.with);
  report.goal("create() with a mount / without", "×", wantedCreate, with_.p50 / without.p50);
}
