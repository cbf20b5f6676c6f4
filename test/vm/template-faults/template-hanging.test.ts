import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { open, rm } from "node:fs/promises";
import { constants } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { promisify } from "node:util";
import { hello, HostilePackage, type Part } from "../failures/hostile-support.ts";
import {
  processesGone,
  processesOf,
  processOf,
  smallMemory,
  timeout,
  withEnvironment,
} from "../lifecycle-support.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import {
  filesInTheMaking,
  kindsOf,
  small,
  templateEntries,
  works,
  runtimeLog,
} from "../templates/template-support.ts";

export const needs: Needs = ["template", "rust"];

// A making that comes to no end. It is given up, and so is waiting for it.
process.env["MSB_TEMPLATES"] = "on";
const home = useTemporaryHome({ ownTemplates: true });
const run = promisify(execFile);
let hostile: HostilePackage;

before(async () => {
  hostile = await HostilePackage.build();
});

after(() => hostile[Symbol.asyncDispose]());

afterEach(async () => {
  await processesGone(home);
  await rm(join(home, "templates"), { recursive: true, force: true });
});

const nothing = Buffer.alloc(0);
const hanging: Record<string, Part[]> = {
  "never says hello": [{ bytes: nothing, how: "forever" }],
  "does not mount its root": [{ bytes: hello }, { bytes: nothing, how: "forever" }],
};

/** For a whole start, ms. Two boots of 5 s on a slow host take less. */
const patienceMs = 20_000;

for (const [what, parts] of Object.entries(hanging)) {
  test(`three starts at once of a guest that ${what}`, { timeout }, async () => {
    const { Sandbox, BootStartError } = hostile.api;
    await hostile.play(parts);
    const begun = performance.now();
    const environment = { MSB_BOOT_TIMEOUT_MS: String(patienceMs) };
    const names = ["a", "b", "c"];
    const outcomes = await withEnvironment(environment, () =>
      Promise.allSettled(
        names.map((name) => Sandbox.create({ name, image: "localhost/base", memoryMib: smallMemory })),
      ),
    );
    // Not one after the other: who waits for a maker boots itself before his own time is over.
    assert.ok(performance.now() - begun < 1.5 * patienceMs, `${performance.now() - begun} ms`);
    for (const outcome of outcomes) {
      assert.equal(outcome.status, "rejected");
      assert.ok(outcome.reason instanceof BootStartError, String(outcome.reason));
      assert.match(outcome.reason.message, /not ready within/);
    }
    await processesGone(home);
    assert.deepEqual(
      (await templateEntries(home)).filter((name) => name.startsWith(".")),
      [],
    );
    // Who made the template gave up in time for a boot of his own.
    const logs = await Promise.all(names.map((name) => runtimeLog(home, name)));
    assert.match(
      logs.join(""),
      /WARN +no template is made: the guest to be saved was not ready within \d+ ms/,
    );
    for (const name of names) await Sandbox.remove(name);
  });
}

test(
  "a QEMU that stands still while it makes a template is given up, and the sandbox boots",
  { timeout },
  async () => {
    const booted = works(home, "sandbox", { MSB_BOOT_TIMEOUT_MS: "45000" });
    booted.catch(() => undefined);
    const qemu = await eventually("the QEMU of the making", async () => {
      const found = (await processesOf(home, "sandbox")).find(({ kind }) => kind === "qemu");
      return found?.pid ?? null;
    });
    process.kill(qemu, "SIGSTOP");
    assert.ok((await filesInTheMaking(home)).includes("memory"));
    const log = await booted;
    assert.match(log, /WARN +no template is made: the guest to be saved was not ready within 1\d{4} ms/);
    assert.doesNotMatch(log, /made the|started from/);
    assert.deepEqual(await kindsOf(home), []);
  },
);

test(
  "a maker that stands still is not waited for longer than leaves time for a boot",
  { timeout },
  async () => {
    const stopped = small("stopped").catch((error: unknown) => error);
    await eventually("the making", async () =>
      (await filesInTheMaking(home)).includes("memory") ? true : null,
    );
    const supervisor = await processOf(home, "stopped", "supervisor");
    process.kill(supervisor, "SIGSTOP");
    try {
      const log = await works(home, "waiting", { MSB_BOOT_TIMEOUT_MS: "45000" });
      assert.match(log, /WARN +no template is used: others have been making it for too long/);
      assert.doesNotMatch(log, /made the|started from/);
    } finally {
      process.kill(supervisor, "SIGKILL");
    }
    assert.ok((await stopped) instanceof Error);
  },
);

test(
  "a disk that takes the saved state and never ends is given up, and the sandbox boots",
  { timeout },
  async () => {
    const booted = works(home, "sandbox", { MSB_BOOT_TIMEOUT_MS: "45000" });
    booted.catch(() => undefined);
    // A pipe that is full stands for that disk: whoever opens it to write gets it, and then waits for ever.
    const pipe = await eventually("the making", async () => {
      const staged = (await templateEntries(home)).find((name) => /^\.new-[0-9a-f]+$/.test(name));
      const hasBegun = (await filesInTheMaking(home)).includes("memory");
      return staged !== undefined && hasBegun ? join(home, "templates", staged, "state") : null;
    });
    await run("mkfifo", ["-m", "600", pipe]);
    await using stuck = await open(pipe, constants.O_RDWR | constants.O_NONBLOCK);
    await assert.rejects(
      (async () => {
        for (;;) await stuck.write(Buffer.alloc(4096));
      })(),
      { code: "EAGAIN" },
    );
    const log = await booted;
    assert.match(log, /WARN +no template is made: the machine was not saved within 15000 ms/);
    assert.doesNotMatch(log, /made the|started from/);
    assert.deepEqual(await kindsOf(home), []);
  },
);
