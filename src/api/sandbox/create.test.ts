import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { sandboxWithVolume } from "../../../test/support/volume-sandbox.ts";
import { SandboxAlreadyExistsError, VolumeNotFoundError } from "../../errors/index.ts";
import { locateHome } from "../../store/home.ts";
import { SandboxBuilder } from "../config/sandbox-builder.ts";

const home = mkdtempSync(join(tmpdir(), "msb-create-"));
const before = process.env["MSB_HOME"];
process.env["MSB_HOME"] = home;
after(() => {
  if (before === undefined) delete process.env["MSB_HOME"];
  else process.env["MSB_HOME"] = before;
  rmSync(home, { recursive: true, force: true });
});

test("that a name is taken is told before what is wrong with volumes and patches", async () => {
  await sandboxWithVolume(locateHome(), "taken", "missing");
  const build = (name: string): SandboxBuilder =>
    new SandboxBuilder(name)
      .image("localhost/base")
      .volume("/data", (m) => m.named("missing"))
      .patch((p) => p.copyFile("/no/such/file", "/x"));
  await assert.rejects(build("taken").create(), SandboxAlreadyExistsError);
  await assert.rejects(build("taken").replace().create(), VolumeNotFoundError);
  await assert.rejects(build("free").create(), VolumeNotFoundError);
});
