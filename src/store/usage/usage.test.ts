import assert from "node:assert/strict";
import {
  closeSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { diskBytes, stoppedSandbox } from "../../../test/support/stopped-sandbox.ts";
import { IoError } from "../../errors/index.ts";
import { locateHome, type Home } from "../home.ts";
import { sandboxPaths } from "../sandboxes.ts";
import { suspensionPaths } from "../suspension.ts";
import { DiskTally } from "./disk-tally.ts";
import { homeUsage } from "./home-usage.ts";
import { sandboxUsage } from "./sandbox-usage.ts";

const directory = mkdtempSync(join(tmpdir(), "msb-usage-"));
after(() => {
  rmSync(directory, { recursive: true, force: true });
});

const mib = 1024 * 1024;
const never = new AbortController().signal;
let homes = 0;
const newHome = (): Home => locateHome({ MSB_HOME: join(directory, `home-${++homes}`) });

/** A file of so many MiB, the rest of its length a hole. */
function sparse(path: string, dataMib: number, length = 64 * mib): string {
  const file = openSync(path, "w");
  ftruncateSync(file, length);
  writeSync(file, Buffer.alloc(dataMib * mib, "data"), 0, undefined, mib);
  closeSync(file);
  return path;
}

/** The data, and what the file system needs for itself. */
function isAbout(bytes: number, dataMib: number): void {
  assert.ok(bytes >= dataMib * mib && bytes < (dataMib + 0.5) * mib, `${bytes} bytes, not ${dataMib} MiB`);
}

test("blocks count, not lengths; a file counts once, and as shared while it has a name elsewhere", async () => {
  const place = join(directory, "tally");
  mkdirSync(join(place, "inner"), { recursive: true });
  const tally = new DiskTally<"a" | "b">();
  sparse(join(place, "sparse"), 2);
  const twice = sparse(join(place, "twice"), 3);
  linkSync(twice, join(place, "inner", "again"));
  await tally.add("a", place);
  const a = tally.of("a");
  isAbout(a.ownBytes, 5);
  assert.equal(a.sharedBytes, 0);
  // Another name of it, elsewhere.
  linkSync(twice, join(directory, "elsewhere"));
  const later = new DiskTally<"a" | "b">();
  await later.add("a", place);
  isAbout(later.of("a").ownBytes, 2);
  isAbout(later.of("a").sharedBytes, 3);
  // With that, all its names were met: it counts where it was met first.
  await later.add("b", join(directory, "elsewhere"));
  assert.deepEqual(later.of("b"), { ownBytes: 0, sharedBytes: 0 });
  assert.deepEqual(later.of("a"), a);
  assert.deepEqual(later.all(), a);
});

test("what is not there takes nothing; what cannot be looked at is an error", async () => {
  const tally = new DiskTally<"a">();
  await tally.add("a", join(directory, "nothing"));
  writeFileSync(join(directory, "file"), "");
  await tally.add("a", join(directory, "file", "below"));
  assert.deepEqual(tally.all(), { ownBytes: 0, sharedBytes: 0 });
  await assert.rejects(tally.add("a", join(directory, "n".repeat(300))), IoError);
});

test("a sandbox's usage, by part: what forks share is shared until one of them is left", async () => {
  const home = newHome();
  await stoppedSandbox(home, "one");
  await stoppedSandbox(home, "two");
  const [one, two] = ["one", "two"].map((name) => sandboxPaths(home, name).directory) as [string, string];
  const memories = [one, two].map((each) => suspensionPaths(each));
  for (const memory of memories) mkdirSync(memory.directory);
  const [first, second] = memories.map(({ memory }) => memory) as [string, string];
  sparse(first, 4);
  linkSync(first, second);
  mkdirSync(join(two, "checkpoints", "c1"), { recursive: true });
  linkSync(first, join(two, "checkpoints", "c1", "memory"));
  sparse(join(two, "checkpoints", "c1", "upper.img"), 1);
  sparse(join(two, "logs", "exec.log"), 1, 2 * mib);

  const usage = await sandboxUsage(home, two, null, never);
  isAbout(usage.parts.memory.sharedBytes, 4);
  assert.ok(usage.parts.memory.ownBytes < mib);
  isAbout(usage.parts.checkpoints.ownBytes, 1);
  assert.equal(usage.parts.checkpoints.sharedBytes, 0);
  isAbout(usage.parts.logs.ownBytes, 1);
  // 64 MiB long, a few blocks of it written.
  assert.ok(usage.parts.disk.ownBytes > 0 && usage.parts.disk.ownBytes < mib && diskBytes > 10 * mib);
  const parts = Object.values(usage.parts);
  for (const key of ["ownBytes", "sharedBytes"] as const)
    assert.equal(
      usage[key],
      parts.reduce((sum, part) => sum + part[key], 0),
    );

  // All of the home: the memory once.
  const all = await homeUsage(home, never);
  isAbout(all.forkMemory, 4);
  isAbout(all.sandboxes, 2);
  rmSync(one, { recursive: true });
  const alone = await sandboxUsage(home, two, null, never);
  isAbout(alone.parts.memory.ownBytes, 4);
  assert.equal(alone.sharedBytes, 0);
  rmSync(two, { recursive: true });
  assert.equal((await sandboxUsage(home, two, null, never)).ownBytes, 0);
});

test("a home that is not there takes nothing, and can be given up on", async () => {
  const home = newHome();
  const all = await homeUsage(home, never);
  assert.ok(Object.values(all).every((bytes) => bytes === 0));
  await assert.rejects(homeUsage(home, AbortSignal.abort(new Error("never mind"))), /never mind/);
});
