import assert from "node:assert/strict";
import { cp, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, before, test } from "node:test";
import { findQemu } from "../../../src/machine/qemu/qemu-binary.ts";
import { processesGone, timeout } from "../lifecycle-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import {
  adjustRecord,
  destroy,
  kindsOf,
  small,
  templateOf,
  works,
  type StoredTemplate,
} from "../templates/template-support.ts";

export const needs: Needs = ["template"];

// Another template takes the place of the one that a sandbox starts from, after it was looked at: the state is of one of them and
// the memory of the other. QEMU does it itself, at the last moment before it opens the memory.
process.env["MSB_TEMPLATES"] = "on";
const home = useTemporaryHome({ ownTemplates: true });
const other = join(home, "other-template");
const hidden = join(home, "first-template");
const replace = join(home, "replace");

before(async () => {
  const { path } = await findQemu();
  const qemu = join(home, "replacing-qemu");
  await writeFile(
    qemu,
    `#!/bin/sh
    case "$*" in *mem-path=${home}/templates/[0-9a-f]*)
      if [ -e ${replace} ]; then sh ${replace}; rm ${replace}; fi
    esac
    exec ${path} "$@"
    `,
    { mode: 0o755 },
  );
  process.env["MSB_QEMU"] = qemu;
  await destroy(await small("first"));
  await processesGone(home);
});

afterEach(async () => {
  await processesGone(home);
  await rm(other, { recursive: true, force: true });
});

// For a whole start, ms. A guest that such a mixture has confused is waited for a third of it.
const environment = { MSB_BOOT_TIMEOUT_MS: "45000" };

type Maker = (first: StoredTemplate) => Promise<void>;
/** How the template comes about that takes the place of the first one, and what is found to be wrong then. */
const makers: Record<string, [Maker, RegExp]> = {
  // Its guest goes on well in either memory, so nothing but the look afterwards tells.
  "its like": [
    async (first) => {
      await cp(first.directory, other, { recursive: true });
      for (const name of ["memory", "state", "upper.extents"]) {
        await adjustRecord({ ...first, directory: other }, name);
      }
    },
    /it was removed while it was restored/,
  ],
  "one of another boot": [
    async (first) => {
      await rename(first.directory, hidden);
      assert.match(await works(home, "maker"), /made the image template/);
      await processesGone(home);
      await rename(first.directory, other);
      await rename(hidden, first.directory);
    },
    /./,
  ],
};

for (const [what, [make, reason]] of Object.entries(makers)) {
  test(`a template is replaced by ${what} while it is restored`, { timeout }, async () => {
    const first = await templateOf(home, "image");
    await make(first);
    const { ino } = await stat(other);
    await writeFile(replace, `mv ${first.directory} ${hidden} && mv ${other} ${first.directory}`);
    const log = await works(home, "sandbox", environment);
    assert.match(log, /WARN +dropped the template/);
    assert.match(log, reason);
    assert.doesNotMatch(log, /started from|made the|is made any more/);
    await processesGone(home);
    // The one that took the place is well.
    assert.equal((await stat(first.directory)).ino, ino);
    assert.match(await works(home, "next"), /^[^\n]*started from the image template[^\n]*$/);
    await rm(hidden, { recursive: true });
  });
}

test("a template is removed while it is restored", { timeout }, async () => {
  const { directory } = await templateOf(home, "image");
  await writeFile(replace, `mv ${directory} ${other}`);
  const log = await works(home, "sandbox", environment);
  assert.match(log, /WARN +dropped the template/);
  assert.doesNotMatch(log, /started from|made the|is made any more/);
  assert.deepEqual(await kindsOf(home), ["machine"]);
  assert.match(await works(home, "next"), /made the image template[^]*started from the image template/);
});

test("a template that was just made is removed before anyone could start from it", { timeout }, async () => {
  const { directory } = await templateOf(home, "image");
  await rm(directory, { recursive: true });
  await writeFile(replace, `mv ${directory} ${other}`);
  const log = await works(home, "sandbox", environment);
  assert.match(log, /made the image template[^]*WARN +dropped the template/);
  // That it was gone says nothing about the next one.
  assert.doesNotMatch(log, /started from|is made any more/);
  assert.match(await works(home, "next"), /made the image template[^]*started from the image template/);
});
