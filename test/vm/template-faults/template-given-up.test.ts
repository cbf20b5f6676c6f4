import assert from "node:assert/strict";
import { rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, before, test } from "node:test";
import { diskBytes } from "../../../src/store/templates/template-eviction.ts";
import { MsbHome } from "../cli/cli-support.ts";
import { processesGone, processesOf, smallMemory, timeout } from "../lifecycle-support.ts";
import { leaveInAll, mountingSkip, mountSmallDisk, unmountSmallDisk } from "../failures/small-disk.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import {
  destroy,
  filesInTheMaking,
  kindsOf,
  small,
  templateEntries,
  templateOf,
  works,
} from "../templates/template-support.ts";

export const needs: Needs = ["template"];

// A making that fails half-way, because the disk has become full since it was looked at. It leaves nothing: no machine beside the
// one of the sandbox, which boots instead, and no files.
process.env["MSB_TEMPLATES"] = "on";
const home = useTemporaryHome({ ownTemplates: true });
const templates = join(home, "templates");

/** What the saved memory of a guest that has just booted takes on the disk. */
let memoryBytes = 0;
/** What it takes while the guest runs: pages that were used and are zero again count as well. */
let touchedBytes = 0;

before(async () => {
  await destroy(await small("measured"));
  memoryBytes = await diskBytes((await templateOf(home, "machine")).directory);
  assert.ok(memoryBytes > 1024 * 1024, `${memoryBytes} bytes`);
  // The machine goes on in the file that the image template gets.
  const { blocks } = await stat(join((await templateOf(home, "image")).directory, "memory"));
  touchedBytes = blocks * 512;
  await processesGone(home);
});

afterEach(async () => {
  try {
    await processesGone(home);
  } finally {
    await unmountSmallDisk(templates);
    await rm(templates, { recursive: true, force: true });
  }
});

/**
 * Fills the disk of the templates as soon as one is being made: a moment after it was found to have room for two guests.
 * However much of its memory the guest has used by then, it counts.
 */
async function fillMeanwhile(directory: string, leave: number, over: AbortSignal): Promise<boolean> {
  // No event tells this, and it does not last.
  while (!(await filesInTheMaking(directory)).includes("memory")) {
    if (over.aborted) return false;
    await new Promise(setImmediate);
  }
  await leaveInAll(join(directory, "templates"), leave);
  return true;
}

/** How much room there is in all; what is said of it. */
const rooms: Record<string, [() => number, RegExp]> = {
  "half of the guest's memory": [() => touchedBytes / 2, /WARN .*no template is made: .*SIGBUS/],
  "the guest's memory, and half of its copy": [
    () => touchedBytes + memoryBytes / 2,
    /WARN .*no template is used: .*copy/,
  ],
};

for (const [what, [room, reason]] of Object.entries(rooms)) {
  test(`a disk that has room for ${what}`, { timeout, skip: mountingSkip }, async () => {
    await mountSmallDisk(templates, `size=${2 * smallMemory + 16}m`);
    const over = new AbortController();
    const filled = fillMeanwhile(home, room(), over.signal);
    const log = await works(home, "sandbox").finally(() => {
      over.abort();
    });
    assert.ok(await filled, "nothing was made");
    assert.match(log, reason);
    assert.doesNotMatch(log, /made the|started from|dropped/);
    assert.deepEqual(await templateEntries(home), ["ballast"]);
    // With the space back, one is made.
    await rm(join(templates, "ballast"));
    assert.match(await works(home, "next"), /made the image template[^]*started from the image template/);
  });

  test(`msb pull --warm with room for ${what}`, { timeout, skip: mountingSkip }, async (t) => {
    await using own = new MsbHome({ ownTemplates: true });
    own.environment["MSB_TEMPLATES"] = "on";
    const place = join(own.path, "templates");
    await writeFile(
      join(own.path, "config.json"),
      JSON.stringify({ sandbox_defaults: { memory_mib: smallMemory } }),
    );
    await mountSmallDisk(place, `size=${2 * smallMemory + 16}m`);
    t.after(() => unmountSmallDisk(place));
    const over = new AbortController();
    const filled = fillMeanwhile(own.path, room(), over.signal);
    const warmed = await own.msb("pull", "--warm", "localhost/base").finally(() => {
      over.abort();
    });
    assert.ok(await filled, "nothing was made");
    assert.equal(warmed.code, 1, warmed.stdout);
    assert.match(warmed.stderr, /no template can be made on this host/);
    assert.deepEqual(await processesOf(own.path), []);
    assert.deepEqual(await templateEntries(own.path), ["ballast"]);
    await rm(join(place, "ballast"));
    const again = await own.msb("pull", "--warm", "localhost/base");
    assert.equal(again.code, 0, again.stderr);
    assert.deepEqual(await kindsOf(own.path), ["image", "machine"]);
    await unmountSmallDisk(place);
  });
}

test("msb pull --warm on a disk of 140 MiB", { timeout, skip: mountingSkip }, async () => {
  await using own = new MsbHome({ ownTemplates: true });
  own.environment["MSB_TEMPLATES"] = "on";
  await writeFile(
    join(own.path, "config.json"),
    JSON.stringify({ sandbox_defaults: { memory_mib: smallMemory } }),
  );
  const place = join(own.path, "templates");
  await mountSmallDisk(place, "size=140m");
  try {
    const warmed = await own.msb("pull", "--warm", "localhost/base");
    assert.equal(warmed.code, 1, warmed.stdout);
    assert.deepEqual(await processesOf(own.path), []);
    assert.deepEqual(await templateEntries(own.path), []);
    const run = await own.msb("run", "localhost/base", "--", "echo", "runs");
    assert.deepEqual([run.code, run.stdout], [0, "runs\n"], run.stderr);
  } finally {
    await unmountSmallDisk(place);
  }
});
