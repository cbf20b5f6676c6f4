import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { InvalidConfigError, Sandbox } from "../index.ts";

let home: string;
before(async () => {
  home = await mkdtemp(join(tmpdir(), "msb-environment-"));
  process.env["MSB_HOME"] = home;
});
after(() => rm(home, { recursive: true }));

for (const [name, value] of [
  ["MSB_BOOT_TIMEOUT_MS", "abc"],
  ["MSB_AGENT_TIMEOUT_MS", "1 minute"],
  ["MSB_DISK_FREEZE_MS", "0"],
  ["MSB_ACCEL", "xen"],
  ["MSB_TEMPLATES", "sometimes"],
] as const) {
  test(`${name}=${value} is refused at the call, and nothing is created`, async (t) => {
    const before = process.env[name];
    t.after(() => {
      if (before === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = before;
    });
    process.env[name] = value;
    const creating = Sandbox.create({ name: "environment", image: "localhost/base" });
    await assert.rejects(creating, (error) => {
      assert.ok(error instanceof InvalidConfigError, String(error));
      assert.match(error.message, new RegExp(name));
      return true;
    });
    assert.deepEqual(await readdir(home), []);
  });
}
