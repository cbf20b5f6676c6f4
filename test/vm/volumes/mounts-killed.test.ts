import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { Sandbox } from "../../../src/index.ts";
import { output } from "../images/root-support.ts";
import { processesGone, processOf, timeout, type SandboxProcess } from "../lifecycle-support.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

// Whoever holds a mount together is killed while the guest writes to it.

const home = useTemporaryHome();
const blockBytes = 65536;

/**
 * Writes files of one block each, for ever, and says the number of each that is on the disk. Beside it another one writes without
 * waiting for the disk, so that there is always something under way.
 */
const writer = `
  mkdir -p /work/run && cd /work/run
  (while :; do dd if=/dev/urandom of=/work/under-way bs=64k count=64; done) 2> /dev/null &
  each=0
  while :; do
    yes $each | dd of=new bs=64k count=1 iflag=fullblock conv=fsync 2> /dev/null && mv new file-$each && sync -f . && echo $each
    each=$((each + 1))
  done
`;

describe("a mount whose machine ends in the middle of writing", () => {
  let sandbox: Sandbox;
  before(async () => {
    mkdirSync(join(home, "work"));
    sandbox = await Sandbox.builder("killed")
      .image("localhost/base")
      .memory(256)
      .volume("/work", (m) => m.bind(join(home, "work")))
      .volume("/named", (m) => m.namedWith("named", "ensure-exists", "dir"))
      .create();
  });

  for (const kind of ["qemu", "supervisor"] as const satisfies readonly SandboxProcess["kind"][]) {
    test(
      `what was on the disk stays whole, and a restart goes on: ${kind} is killed`,
      { timeout },
      async () => {
        const handle = await sandbox.execStream("sh", ["-c", writer]);
        let said = "";
        const ended = (async () => {
          for await (const event of handle) if (event.kind === "stdout") said += event.data.toString();
        })().catch(() => undefined);
        await eventually("some files to be written", () =>
          Promise.resolve(said.split("\n").length > 10 ? true : null),
        );
        process.kill(await processOf(home, "killed", kind), "SIGKILL");
        await ended;
        await processesGone(home, "killed");

        const run = join(home, "work/run");
        const numbers = said.split("\n").slice(0, -1);
        for (const number of numbers) {
          const text = readFileSync(join(run, `file-${number}`), "latin1");
          assert.equal(text, `${number}\n`.repeat(blockBytes).slice(0, blockBytes), `file-${number}`);
        }
        // One more may have been written that nobody was told of; nothing else is left of the machine that is gone.
        const others = readdirSync(run).filter(
          (name) => !numbers.some((number) => name === `file-${number}`),
        );
        assert.ok(others.every((name) => /^(new|file-\d+)$/.test(name)) && others.length <= 2, others.join());

        sandbox = await Sandbox.start("killed");
        const last = numbers.at(-1) ?? "";
        assert.equal(
          await output(
            sandbox,
            `head -n 1 /work/run/file-${last}; rm -r /work/run /work/under-way; echo on > /named/file`,
          ),
          last,
        );
        assert.deepEqual(readdirSync(join(home, "work")), []);
        assert.equal(readFileSync(join(home, "volumes/named/file"), "utf8"), "on\n");
      },
    );
  }
});
