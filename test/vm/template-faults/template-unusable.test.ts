import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { findQemu } from "../../../src/machine/qemu/qemu-binary.ts";
import { processesGone, timeout } from "../lifecycle-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import { templatesOf, works } from "../templates/template-support.ts";

export const needs: Needs = ["template"];

// A QEMU that saves machines and cannot restore them. Sandboxes boot, and templates are not made and dropped at every start.
process.env["MSB_TEMPLATES"] = "on";
const home = useTemporaryHome({ ownTemplates: true });

afterEach(() => processesGone(home));

const count = (log: string, what: RegExp): number => log.match(new RegExp(what, "g"))?.length ?? 0;

test(
  "templates that can never be restored are given up until the host is started anew",
  { timeout },
  async () => {
    const { path } = await findQemu();
    const forgetful = join(home, "forgetful-qemu");
    const refusal = 'case " $* " in *" -incoming "*) echo "this one forgets" >&2; exit 1;; esac';
    await writeFile(forgetful, `#!/bin/sh\n${refusal}\nexec ${path} "$@"\n`, { mode: 0o755 });
    const environment = { MSB_QEMU: forgetful };

    const first = await works(home, "first", environment);
    assert.match(first, /made the machine template[^]*made the image template/);
    assert.match(first, /WARN +dropped the template [0-9a-f]{64}: .*this one forgets/);
    assert.match(first, /WARN +no template [0-9a-f]{64} is made any more until the host is started anew/);
    // Of the machine template nobody knows yet: it is tried once as it is, and once made anew.
    let all = first;
    for (const name of ["second", "third"]) all += `\n${await works(home, name, environment)}`;
    assert.equal(count(all, /made the image template/), 1, all);
    assert.ok(count(all, /made the machine template/) <= 2, all);
    assert.equal(count(all, /is made any more/), 2, all);
    // From now on a start has nothing to do with templates.
    for (const name of ["fourth", "fifth"]) {
      const log = await works(home, name, environment);
      assert.match(
        log,
        /^[^\n]*no prelaunch: no template is of use here: [^\n]*\n[^\n]*cold: booted its kernel: no template is of use here: [^\n]*this one forgets$/,
      );
    }

    const left = await templatesOf(home);
    assert.deepEqual(left.map(({ kind }) => kind).sort(), ["image", "machine"]);
    for (const { directory } of left) {
      const { unusable } = JSON.parse(await readFile(join(directory, "template.json"), "utf8")) as {
        unusable: string | null;
      };
      assert.match(unusable ?? "", /this one forgets/);
    }
    // Another QEMU is not concerned.
    assert.match(await works(home, "other"), /made the image template[^]*started from the image template/);
  },
);
