import assert from "node:assert/strict";
import { copyFile, readFile, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, before, test } from "node:test";
import { processesGone, timeout } from "../lifecycle-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import { destroy, small, templateOf, works, type StoredTemplate } from "../templates/template-support.ts";

export const needs: Needs = ["template"];

// Templates that are seen to be damaged. Each time the sandbox runs all the same, the template is replaced or gone, and the log says why.
process.env["MSB_TEMPLATES"] = "on";
const home = useTemporaryHome({ ownTemplates: true });

before(async () => {
  await destroy(await small("first"));
});

afterEach(() => processesGone(home));

type Damage = (template: StoredTemplate) => Promise<unknown>;
const file = (template: StoredTemplate, name: string): string => join(template.directory, name);
const replace = async (path: string): Promise<void> => {
  await copyFile(path, `${path}.copy`);
  await rename(`${path}.copy`, path);
};

/** Seen at a look, so the template is made again. */
const seen: Record<string, [Damage, RegExp]> = {
  "no memory": [(it) => rm(file(it, "memory")), /memory is missing/],
  "a shorter memory": [(it) => truncate(file(it, "memory"), 1 << 20), /memory has 1048576 bytes instead of/],
  "another memory": [(it) => replace(file(it, "memory")), /memory is another file/],
  "a state that was written to": [
    async (it) => writeFile(file(it, "state"), await readFile(file(it, "state"))),
    /state was changed after/,
  ],
  "no state": [(it) => rm(file(it, "state")), /state is missing/],
  "no upper": [(it) => rm(file(it, "upper.extents")), /upper.extents is missing/],
  "a link for an upper": [
    async (it) => {
      await rename(file(it, "upper.extents"), join(home, "upper"));
      await symlink(join(home, "upper"), file(it, "upper.extents"));
    },
    /upper.extents is no file/,
  ],
  "no template.json": [(it) => rm(file(it, "template.json")), /template.json is missing/],
  "half a template.json": [(it) => truncate(file(it, "template.json"), 100), /template.json is not valid/],
};

for (const [what, [damage, reason]] of Object.entries(seen)) {
  test(`an image template with ${what}`, { timeout }, async () => {
    await damage(await templateOf(home, "image"));
    const log = await works(home, "sandbox");
    assert.match(log, /WARN +dropped the template/);
    assert.match(log, reason);
    // The machine template is well: nothing has to boot.
    assert.match(log, /made the image template/);
    assert.doesNotMatch(log, /made the machine template/);
    assert.match(
      log,
      /restored: started from .*, made for it \(no prelaunch: its template is damaged: .*\)$/,
    );
    assert.match(await works(home, "next"), /^[^\n]*prelaunched: started from the image template [0-9a-f]+$/);
  });
}

test("both templates are damaged", { timeout }, async () => {
  for (const kind of ["machine", "image"] as const) {
    await truncate(file(await templateOf(home, kind), "state"), 10);
  }
  const log = await works(home, "sandbox");
  assert.match(
    log,
    /made the machine template[^]*made the image template[^]*started from the image template/,
  );
  assert.equal(log.match(/dropped the template/g)?.length, 2);
});
