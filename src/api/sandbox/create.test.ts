import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { sandboxWithVolume } from "../../../test/support/volume-sandbox.ts";
import { SandboxAlreadyExistsError, VolumeNotFoundError } from "../../errors/index.ts";
import { locateHome } from "../../store/home.ts";
import { SecretSource } from "../../config/network/interception/secret-type.ts";
import { nothingBeside } from "../../config/sandbox/beside-config.ts";
import { SandboxBuilder } from "../config/sandbox-builder.ts";
import { prepareCreation } from "./create.ts";

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

test("a proxy's password that is not there, or too long, is told before anything is fetched or made", async () => {
  const create = (): Promise<unknown> =>
    new SandboxBuilder("proxied")
      // Nobody answers there: it would fail, if it were asked.
      .image("127.0.0.1:1/app")
      .proxy((p) => p.socks5("127.0.0.1:1080").credentials("me", { kind: "env", var: "MSB_TEST_PASSWORD" }))
      .create();
  delete process.env["MSB_TEST_PASSWORD"];
  await assert.rejects(create(), { code: "invalidConfig", message: /MSB_TEST_PASSWORD, which is not set/ });
  process.env["MSB_TEST_PASSWORD"] = "x".repeat(256);
  await assert.rejects(create(), { code: "invalidConfig", message: /more than 255 bytes/ });
  assert.ok(!readdirSync(join(home, "sandboxes")).includes("proxied"));
  process.env["MSB_TEST_PASSWORD"] = "x".repeat(255);
  // Now it is the image that cannot be had.
  await assert.rejects(create(), { code: /^(?!invalidConfig)/ });
  delete process.env["MSB_TEST_PASSWORD"];
});

test("a file or a variable that interception or a secret needs is told before anything is fetched or made", async () => {
  const wrong: Readonly<Record<string, (builder: SandboxBuilder) => SandboxBuilder>> = {
    "/no/such/ca.pem": (b) => b.network((n) => n.tls((t) => t.upstreamCaCert("/no/such/ca.pem"))),
    "/no/such/ca.crt": (b) =>
      b.network((n) => n.tls((t) => t.interceptCaCert("/no/such/ca.crt").interceptCaKey("/no/such/ca.key"))),
    "/no/such/key": (b) => b.secret((s) => s.env("KEY").file("/no/such/key").allow("a.example.com")),
    MSB_TEST_SECRET: (b) =>
      b.secret((s) => s.env("KEY").source(SecretSource.env("MSB_TEST_SECRET")).allow("a.example.com")),
  };
  delete process.env["MSB_TEST_SECRET"];
  for (const [name, set] of Object.entries(wrong)) {
    const config = set(new SandboxBuilder("read").image("127.0.0.1:1/app")).build();
    await assert.rejects(prepareCreation(config, nothingBeside), (error: Error) => {
      assert.equal(error.name, "InvalidConfigError", String(error));
      return error.message.includes(name);
    });
  }
  assert.ok(!readdirSync(join(home, "sandboxes")).includes("read"));
});
