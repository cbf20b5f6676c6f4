import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { promisify } from "node:util";
import { processesGone, smallMemory, timeout } from "../lifecycle-support.ts";
import { mountingSkip, mountSmallDisk, unmountSmallDisk } from "../failures/small-disk.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import {
  destroy,
  kindsOf,
  runtimeLog,
  small,
  templateEntries,
  templatesOf,
  works,
} from "./template-support.ts";

export const needs: Needs = ["template", "disk-full"];

// Little room for templates, or none at all: sandboxes run as if there were no such thing.
process.env["MSB_TEMPLATES"] = "on";
const home = useTemporaryHome({ ownTemplates: true });
const templates = join(home, "templates");
const run = promisify(execFile);

afterEach(async () => {
  await processesGone(home);
  await unmountSmallDisk(templates);
  await rm(templates, { recursive: true, force: true });
  await rm(join(home, "config.json"), { force: true });
});

// Less than a guest's memory; room for one guest but not for its copy; room for the machine template.
for (const size of ["32m", "140m", "190m"]) {
  test(`templates on a disk of ${size}`, { timeout, skip: mountingSkip }, async () => {
    await mountSmallDisk(templates, `size=${size}`);
    for (const name of ["first", "second"]) {
      const log = await works(home, name);
      if (size === "32m") assert.match(log, /WARN .*no template is used: .*less room/);
      assert.deepEqual(
        (await templateEntries(home)).filter((entry) => entry.startsWith(".new-")),
        [],
      );
    }
    if (size === "32m") assert.deepEqual(await kindsOf(home), []);
  });
}

test("templates on a disk that cannot be written", { timeout, skip: mountingSkip }, async () => {
  await mountSmallDisk(templates, "ro");
  assert.match(await works(home, "cold"), /WARN .*no template is used/);
});

test("a directory of templates that others can write is not used", { timeout }, async () => {
  await mkdir(templates);
  await chmod(templates, 0o777);
  assert.match(await works(home, "cold"), /WARN .*can be written by other users/);
  assert.deepEqual(await templateEntries(home), []);
});

/** Uses the templates of a shape, made if need be. @returns the image template's key */
async function use(memoryMib: number): Promise<string> {
  const sandbox = await small("user", { memoryMib });
  const log = await runtimeLog(home, "user");
  await destroy(sandbox);
  await processesGone(home);
  return /started from the image template ([0-9a-f]{64})/.exec(log)?.[1] ?? assert.fail(log);
}

test("what was not used for longest goes when there is no room", { timeout }, async () => {
  const first = await use(smallMemory);
  const second = await use(smallMemory + 16);
  assert.equal(await use(smallMemory), first);
  const { stdout } = await run("du", ["-sm", templates]);
  const sizeMib = Number.parseInt(stdout, 10);
  // Room for what is there now, and the half of a third shape.
  await writeFile(
    join(home, "config.json"),
    JSON.stringify({ templates: { max_size_mib: Math.ceil(sizeMib * 1.25) } }),
  );
  const third = await use(smallMemory + 32);
  const left = (await templatesOf(home)).map(({ key }) => key);
  assert.ok(left.includes(first), "the one that was used again is gone");
  assert.ok(left.includes(third), "the new one is gone");
  assert.ok(left.length < 6, left.join());
  assert.equal(await use(smallMemory), first);
  assert.equal(await use(smallMemory + 32), third);
  // Made again as if it had never been there.
  assert.equal(await use(smallMemory + 16), second);
});
