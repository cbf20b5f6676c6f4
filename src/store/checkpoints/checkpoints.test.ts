import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { CheckpointAlreadyExistsError, CheckpointNotFoundError } from "../../errors/index.ts";
import { diskAsItIs, pathsOfCapture, readSuspension, writeSuspension } from "../suspension.ts";
import {
  findCheckpoint,
  listCheckpoints,
  makeCheckpoint,
  removeCheckpoint,
  type CheckpointOwner,
} from "./checkpoints.ts";
import { decideRollback, settleCheckpoints } from "./settle-checkpoints.ts";
import { stageRollback } from "./stage-rollback.ts";
import { suspensionSample } from "../../../test/support/suspension-sample.ts";

/** A sandbox with the checkpoint `then`, and another disk and memory now. */
async function sandboxWithCheckpoint(): Promise<CheckpointOwner> {
  const directory = await mkdtemp(join(tmpdir(), "msb-checkpoints-"));
  const owner = { name: "box", directory };
  await makeCheckpoint(owner, "then", (place) => capture(place, "then"));
  await writeFile(join(directory, "upper.img"), "now");
  await mkdir(join(directory, "suspended"));
  await capture(join(directory, "suspended"), "now");
  return owner;
}

async function capture(place: string, content: string): Promise<void> {
  const paths = pathsOfCapture(place);
  for (const path of [paths.memory, paths.state, join(place, "upper.img")]) await writeFile(path, content);
  await writeSuspension(paths, { ...suspensionSample, source: "box" });
}

async function assertIsThen({ directory }: CheckpointOwner): Promise<void> {
  const own = pathsOfCapture(join(directory, "suspended"));
  for (const path of [own.memory, own.state, join(directory, "upper.img")])
    assert.equal(await readFile(path, "utf8"), "then", path);
  const record = await readSuspension(directory);
  assert.deepEqual([record?.source, record?.checkpoint], [null, "then"]);
  assert.deepEqual(record?.disks, [await diskAsItIs(directory, join(directory, "upper.img"))]);
  assert.deepEqual((await readdir(directory)).sort(), ["checkpoints", "suspended", "upper.img"]);
}

test("what is only gathered changes nothing, and is cleared away", async () => {
  const owner = await sandboxWithCheckpoint();
  await stageRollback(owner, "then");
  assert.equal(await readFile(join(owner.directory, "upper.img"), "utf8"), "now");
  await mkdir(join(owner.directory, "checkpoints", ".new-killed"));
  await settleCheckpoints(owner.directory);
  assert.equal(await readFile(join(owner.directory, "upper.img"), "utf8"), "now");
  assert.equal(await readFile(join(owner.directory, "suspended/memory"), "utf8"), "now");
  assert.deepEqual((await readdir(owner.directory)).sort(), ["checkpoints", "suspended", "upper.img"]);
  assert.deepEqual(await readdir(join(owner.directory, "checkpoints")), ["then"]);
  await stageRollback(owner, "then");
  await decideRollback(owner.directory);
  await assertIsThen(owner);
  await rm(owner.directory, { recursive: true });
});

test("wherever the way back ends that was decided on, it is gone to its end", async () => {
  for (let steps = 0; steps <= 4; steps++) {
    const owner = await sandboxWithCheckpoint();
    const at = (...names: string[]): string => join(owner.directory, ...names);
    await stageRollback(owner, "then");
    const all = [
      () => rename(at(".rollback-new"), at(".rollback")),
      () => rm(at("suspended"), { recursive: true }),
      () => rename(at(".rollback/upper.img"), at("upper.img")),
      () => rename(at(".rollback/suspended"), at("suspended")),
    ];
    for (const step of all.slice(0, Math.max(1, steps))) await step();
    await settleCheckpoints(owner.directory);
    await assertIsThen(owner);
    // Again it does nothing.
    await settleCheckpoints(owner.directory);
    await assertIsThen(owner);
    await rm(owner.directory, { recursive: true });
  }
});

test("a checkpoint is there whole or not at all", async () => {
  const owner = await sandboxWithCheckpoint();
  const failure = new Error("no room");
  await assert.rejects(
    makeCheckpoint(owner, "failed", async (place) => {
      await capture(place, "half");
      throw failure;
    }),
    failure,
  );
  assert.deepEqual(await readdir(join(owner.directory, "checkpoints")), ["then"]);
  await assert.rejects(
    makeCheckpoint(owner, "then", () => assert.fail()),
    CheckpointAlreadyExistsError,
  );
  // Two with one name: one of them is made.
  const both = await Promise.allSettled(
    ["a", "b"].map((content) => makeCheckpoint(owner, "both", (place) => capture(place, content))),
  );
  const [refused] = both.filter((one) => one.status === "rejected");
  assert.ok(refused?.reason instanceof CheckpointAlreadyExistsError);
  assert.deepEqual(
    (await listCheckpoints(owner)).map(({ id }) => id),
    ["then", "both"],
  );
  await removeCheckpoint(owner, "then");
  await assert.rejects(findCheckpoint(owner, "then"), CheckpointNotFoundError);
  await assert.rejects(stageRollback(owner, "then"), CheckpointNotFoundError);
  await assert.rejects(removeCheckpoint(owner, "then"), CheckpointNotFoundError);
  assert.deepEqual(await readdir(join(owner.directory, "checkpoints")), ["both"]);
  await rm(owner.directory, { recursive: true });
});
