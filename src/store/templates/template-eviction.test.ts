import assert from "node:assert/strict";
import { open, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { evictTemplates, listTemplates, pruneTemplates } from "./template-eviction.ts";
import { lockTemplate, stageTemplate } from "./template-staging.ts";
import { openTemplate } from "./templates.ts";
import type { Home } from "../home.ts";
import {
  imageDetails,
  keyA,
  keyB,
  keyC,
  kill,
  machineDetails,
  make,
  startMaker,
  TemplateHome,
} from "../../../test/support/template-support.ts";

const mib = 1024 * 1024;

async function keys(home: Home): Promise<string[]> {
  return (await listTemplates(home)).map(({ key }) => key);
}

/** Gives templates times of use in the order of the keys. */
async function usedInOrder(home: Home, ...ordered: string[]): Promise<void> {
  for (const [index, key] of ordered.entries()) {
    const time = new Date(Date.UTC(2024, 0, 1 + index));
    await utimes(join(home.templates, key, "template.json"), time, time);
  }
}

test("the list says what each takes, the one used last first", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  await make(home, keyA, { details: imageDetails, dataMib: 3 });
  await make(home, keyB);
  await make(home, keyC);
  await usedInOrder(home, keyB, keyA);
  await rm(join(home.templates, keyC, "memory"));
  await writeFile(join(home.templates, "notes.txt"), "not ours");
  const listed = await listTemplates(home);
  assert.deepEqual(
    listed.map(({ key, damage }) => [key, damage]),
    [
      [keyC, "memory is missing"],
      [keyA, null],
      [keyB, null],
    ],
  );
  const [damaged, image, machine] = listed;
  assert.equal(damaged?.record, null);
  assert.deepEqual(image?.record?.description, imageDetails.description);
  assert.deepEqual(image.lastUsedAt, new Date(Date.UTC(2024, 0, 2)));
  // 64 MiB of memory, of which 3 and 1 are not holes.
  assert.ok(image.diskBytes >= 3 * mib && image.diskBytes < 4 * mib, String(image.diskBytes));
  assert.ok(machine !== undefined && machine.diskBytes >= mib && machine.diskBytes < 2 * mib);
});

test("without a directory of templates there are none", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  await rm(home.templates, { recursive: true });
  assert.deepEqual(await listTemplates(home), []);
  assert.deepEqual(await pruneTemplates(home), { templates: 0, bytes: 0, keys: [] });
});

test("the ones that were not used for longest go, damaged ones count", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  for (const key of [keyA, keyB, keyC]) await make(home, key, { dataMib: 2 });
  await usedInOrder(home, keyB, keyC, keyA);
  assert.deepEqual(await evictTemplates(home, 100 * mib), { templates: 0, bytes: 0 });
  const removed = await evictTemplates(home, 5 * mib);
  assert.ok(removed.templates === 1 && removed.bytes >= 2 * mib);
  assert.deepEqual(await keys(home), [keyA, keyC]);
  await openTemplate(home, keyC);
  assert.equal((await evictTemplates(home, 3 * mib)).templates, 1);
  assert.deepEqual(await keys(home), [keyC]);
  await rm(join(home.templates, keyC, "state"));
  assert.equal((await evictTemplates(home, mib)).templates, 1);
  assert.deepEqual(await keys(home), []);
});

test("a new one makes room for itself; one too large by itself is not kept", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  for (const key of [keyA, keyB]) await make(home, key, { dataMib: 2 });
  await usedInOrder(home, keyB, keyA);
  const limitBytes = 5 * mib;
  assert.ok((await make(home, keyC, { dataMib: 2, limitBytes })) !== null);
  assert.deepEqual(await keys(home), [keyC, keyA]);
  // In the future as the clock was set back: the new one is the oldest and stays all the same.
  const later = new Date(Date.now() + 1_000_000_000);
  for (const key of [keyA, keyC]) await utimes(join(home.templates, key, "template.json"), later, later);
  assert.ok((await make(home, keyB, { dataMib: 3, limitBytes: 4 * mib })) !== null);
  assert.deepEqual(await keys(home), [keyB]);
  assert.equal(await make(home, keyC, { dataMib: 8, limitBytes: 4 * mib }), null);
  assert.deepEqual(await keys(home), [keyB]);
  assert.deepEqual(await readdir(home.templates), [keyB]);
});

test("who has a template mapped does not notice that it goes", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  const created = await make(home, keyA);
  assert.ok(created !== null);
  await using memory = await open(created.paths.memory, "r");
  assert.equal((await pruneTemplates(home)).templates, 1);
  const buffer = Buffer.alloc(6);
  await memory.read(buffer, 0, 6, 63 * mib);
  assert.equal(buffer.toString(), "memory");
});

test("all go, with what killed processes left; what is being made stays", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  await make(home, keyA, { dataMib: 2 });
  await make(home, keyB);
  await writeFile(join(home.templates, keyB, "template.json"), "{");
  await kill(await startMaker(home, "d".repeat(64), "filled"));
  await writeFile(join(home.templates, `.removed-${"0".repeat(16)}`), "");
  await using lock = await lockTemplate(home, keyC);
  await using staged = await stageTemplate(home);
  await kill(await startMaker(home, "e".repeat(64), "filled"));
  await writeFile(staged.paths.state, "state");
  const removed = await pruneTemplates(home);
  assert.equal(removed.templates, 2);
  assert.ok(removed.bytes >= 3 * mib);
  const left = (await readdir(home.templates)).sort();
  assert.deepEqual(left, [...left.filter((name) => name.startsWith(".new-")), `${keyC}.lock`]);
  assert.equal(left.length, 3);
  await staged.commitUnusable(lock, machineDetails, "of no matter");
  assert.deepEqual(await keys(home), [keyC]);
});

test("several that make, evict, open and prune at once do each other no harm", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  const makers = [keyA, keyB, keyC, keyA, keyB, keyC].map(async (key) => {
    await make(home, key, { dataMib: 2, limitBytes: 5 * mib });
    const { template, dropped } = await openTemplate(home, key);
    assert.equal(dropped, null);
    assert.ok(template === null || template.key === key);
  });
  await Promise.all([...makers, evictTemplates(home, 3 * mib), pruneTemplates(home)]);
  const left = await readdir(home.templates);
  assert.deepEqual(
    left.filter((name) => name.length !== 64),
    [],
  );
  assert.ok(left.length <= 2);
  assert.equal((await pruneTemplates(home)).templates, left.length);
});
