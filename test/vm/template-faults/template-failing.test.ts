import assert from "node:assert/strict";
import { lstat, rename, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, before, test } from "node:test";
import { findQemu } from "../../../src/machine/qemu/qemu-binary.ts";
import { processesGone, timeout } from "../lifecycle-support.ts";
import { output } from "../images/root-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import {
  adjustRecord,
  destroy,
  hashesOf,
  kindsOf,
  small,
  templateOf,
  templatesOf,
  works,
  type StoredTemplate,
} from "../templates/template-support.ts";

export const needs: Needs = ["template"];

// Templates that fail when they are used, or go meanwhile. Each time the sandbox runs all the same.
process.env["MSB_TEMPLATES"] = "on";
const home = useTemporaryHome({ ownTemplates: true });

before(async () => {
  await destroy(await small("first"));
});

afterEach(() => processesGone(home));

type Damage = (template: StoredTemplate) => Promise<unknown>;
const file = (template: StoredTemplate, name: string): string => join(template.directory, name);
/** Not seen before it is tried. */
const tried: Record<string, [Damage, RegExp]> = {
  "a state that is garbage": [
    async (it) => {
      await writeFile(file(it, "state"), Buffer.alloc(70_000, "garbage "));
      await adjustRecord(it, "state");
    },
    /load of migration failed: Invalid argument/,
  ],
  "half a state": [
    async (it) => {
      await truncate(file(it, "state"), Math.floor((await lstat(file(it, "state"))).size / 2));
      await adjustRecord(it, "state");
    },
    /load of migration failed/,
  ],
  "an empty state": [
    async (it) => {
      await truncate(file(it, "state"), 0);
      await adjustRecord(it, "state");
    },
    /load of migration failed/,
  ],
  "a memory of zeros": [
    async (it) => {
      const { size } = await lstat(file(it, "memory"));
      await truncate(file(it, "memory"), 0);
      await truncate(file(it, "memory"), size);
      await adjustRecord(it, "memory");
    },
    // Its kernel jumps to nowhere: it stands still, or the processor is reset, which ends QEMU and its connections in any order.
    /QEMU ended without saying why|did not answer|the connection to the guest was/,
  ],
  "an upper that is garbage": [
    async (it) => {
      await writeFile(file(it, "upper.extents"), Buffer.alloc(4096, "garbage "));
      await adjustRecord(it, "upper.extents");
    },
    /upper\.extents is damaged: its header has no end/,
  ],
};

for (const [what, [damage, reason]] of Object.entries(tried)) {
  test(`an image template with ${what}, which looks well`, { timeout }, async () => {
    const template = await templateOf(home, "image");
    await damage(template);
    // A guest that does not answer is waited for as long as a boot may take, or this.
    const log = await works(home, "sandbox", { MSB_BOOT_TIMEOUT_MS: "30000" });
    assert.match(log, /WARN +dropped the template/);
    assert.match(log, reason);
    assert.match(log, /cold: booted its kernel: the template did not work: /);
    assert.doesNotMatch(log, /started from/);
    assert.deepEqual(await kindsOf(home), ["machine"]);
    assert.match(await works(home, "next"), /made the image template[^]*started from the image template/);
  });
}

test("a machine template that does not answer is gone, and the sandbox boots", { timeout }, async () => {
  await rm((await templateOf(home, "image")).directory, { recursive: true });
  const machine = await templateOf(home, "machine");
  await writeFile(file(machine, "state"), Buffer.alloc(70_000, "garbage "));
  await adjustRecord(machine, "state");
  const log = await works(home, "sandbox");
  assert.match(log, new RegExp(`dropped the template ${machine.key}`));
  assert.doesNotMatch(log, /started from/);
  assert.deepEqual(await kindsOf(home), []);
  assert.match(await works(home, "next"), /made the machine template[^]*made the image template/);
});

test("another QEMU has templates of its own, and those of the first stay", { timeout }, async () => {
  const image = await templateOf(home, "image");
  const hashes = await hashesOf(image);
  const { path } = await findQemu();
  const other = join(home, "other-qemu");
  await writeFile(other, `#!/bin/sh\nexec ${path} "$@"\n`, { mode: 0o755 });
  const log = await works(home, "sandbox", { MSB_QEMU: other });
  assert.match(log, /made the machine template[^]*made the image template/);
  assert.doesNotMatch(log, /dropped/);
  assert.deepEqual(await kindsOf(home), ["image", "image", "machine", "machine"]);
  assert.deepEqual(await hashesOf(image), hashes);
  assert.match(await works(home, "next"), new RegExp(`started from the image template ${image.key}`));
});

test("templates that are removed while sandboxes start", { timeout }, async () => {
  const running = new AbortController();
  let removed = 0;
  // Between any look at a template and its use, whole as `msb template prune` does it.
  const remover = (async (): Promise<void> => {
    const aside = join(home, "removed");
    while (!running.signal.aborted) {
      for (const { directory } of await templatesOf(home).catch(() => [])) {
        await rename(directory, aside);
        await rm(aside, { recursive: true, force: true });
        removed++;
      }
      await new Promise(setImmediate);
    }
  })();
  try {
    const logs = await Promise.all([0, 1].map((index) => works(home, `raced-${index}`)));
    // That it was gone says nothing about the next one.
    assert.doesNotMatch(logs.join("\n"), /is made any more/);
  } finally {
    running.abort();
    await remover;
  }
  assert.ok(removed > 1, `${removed} removed`);
});

test("a sandbox runs on when its template is removed", { timeout }, async () => {
  await destroy(await small("maker"));
  const sandbox = await small("kept");
  // Hashes of it may be written meanwhile.
  await rm(join(home, "templates"), { recursive: true, maxRetries: 20 });
  // What was not looked at before has to come from somewhere.
  assert.equal(await output(sandbox, "find / -xdev > /root/all; tail -c 1 /bin/busybox | wc -c"), "1");
  await destroy(sandbox);
});
