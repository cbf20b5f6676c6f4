import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  InvalidConfigError,
  PolicyAction,
  Sandbox,
  UnsupportedOperationError,
  ViolationAction,
  ViolationActions,
  type PolicyRule,
  type SandboxBuilder,
} from "../index.ts";
import { NetworkBuilder } from "../../config/network/builders/network-builder.ts";
import { draftFromConfig, type SandboxConfigInput } from "../../config/sandbox/config-object.ts";
import { configOf, effectiveConfig } from "../../config/sandbox/effective-config.ts";

let home: string;
before(async () => {
  home = await mkdtemp(join(tmpdir(), "msb-later-"));
  process.env["MSB_HOME"] = home;
});
after(() => rm(home, { recursive: true }));

const unused = (): void => undefined;

/** Every setter of a later version, with arguments that are right. */
const setters: Readonly<Record<string, (b: SandboxBuilder) => SandboxBuilder>> = {
  maxCpus: (b) => b.maxCpus(2),
  maxMemory: (b) => b.maxMemory(1024),
  cpuPlacement: (b) => b.cpuPlacement("spread"),
  placementProfile: (b) => b.placementProfile("numa"),
  security: (b) => b.security("restricted"),
  init: (b) => b.init("auto"),
  initWith: (b) => b.initWith("/sbin/init", unused),
  vsock: (b) => b.vsock("/tmp/a.sock", 5000),
  vsockDgram: (b) => b.vsockDgram("/tmp/a.sock", 5000),
};

async function refusesNaming(create: () => Promise<unknown>, setting: string): Promise<void> {
  await assert.rejects(create(), (error: unknown) => {
    assert.ok(error instanceof UnsupportedOperationError, String(error));
    assert.match(error.message, new RegExp(`\\b${setting}\\b`));
    assert.match(error.hint, new RegExp(`\\b${setting}\\b`));
    return true;
  });
}

for (const [setting, apply] of Object.entries(setters)) {
  test(`${setting} fails at create and is named; nothing is created`, async () => {
    await refusesNaming(() => apply(Sandbox.builder("later").image("localhost/base")).create(), setting);
    assert.deepEqual(await readdir(home), []);
  });
}

test("what asks for nothing of a later version is let through", () => {
  const builder = Sandbox.builder("later").image("localhost/base");
  const { network } = builder.network((n) => n.trustHostCAs(false).strict(false)).build();
  assert.equal(network?.enabled, true);
});

test("what is read back has the fields of later versions, asks for nothing with them, and may be given again", () => {
  const read = Sandbox.builder("later")
    .image("localhost/base")
    .network((n) => n.maxConnections(5))
    .build();
  const none = Sandbox.builder("later").image("localhost/base").disableNetwork().build();
  const made = configOf({ name: "later", config: effectiveConfig(read, {}, null) });
  for (const [{ network, secrets }, violation] of [
    [read, null],
    [none, null],
    [made, "block-and-log"],
    [configOf({ name: "later", config: effectiveConfig(none, {}, null) }), null],
    [draftFromConfig({ ...base, ...{ network: read.network, secrets: read.secrets } }).finish(), null],
  ] as const) {
    assert.ok(network !== null);
    const { tls, secrets: ofNetwork, secretViolation, trustHostCAs, strict } = network;
    assert.deepEqual(
      { tls, ofNetwork, secretViolation, trustHostCAs, strict, secrets },
      {
        tls: null,
        ofNetwork: [],
        secretViolation: violation,
        trustHostCAs: false,
        strict: false,
        secrets: [],
      },
    );
  }
  assert.deepEqual(draftFromConfig({ ...base, ...{ network: made.network } }).unsupported, []);
  const { tls, strict } = new NetworkBuilder().build();
  assert.deepEqual([tls, strict], [null, false]);
  assert.equal(Object.hasOwn(effectiveConfig(read, {}, null), "secrets"), false);
});

test("names for what a violation of a secret leads to", () => {
  assert.deepEqual(ViolationActions, ["block", "block-and-log", "block-and-terminate", "passthrough"]);
  assert.deepEqual(Object.values(ViolationAction), ViolationActions);
  const rule: PolicyRule = { action: PolicyAction.Allow, destination: ".example.com" };
  const draft = draftFromConfig({ ...base, network: { rules: [rule] } });
  assert.equal(draft.finish().network?.policy?.rules.length, 1);
});

test("wrong arguments of a later setting are told first", async () => {
  await assert.rejects(
    Sandbox.builder("later").image("localhost/base").vsock("/tmp/a.sock", 0).create(),
    InvalidConfigError,
  );
});

const base: SandboxConfigInput = { name: "later", image: "localhost/base" };
const fields: Readonly<Record<string, unknown>> = {
  security: "restricted",
  securityProfile: "restricted",
  vsock: ["/tmp/a.sock"],
  cpuPlacement: "spread",
};

for (const [field, value] of Object.entries(fields)) {
  test(`the field ${field} fails at create and is named`, async () => {
    await refusesNaming(() => Sandbox.create({ ...base, [field]: value }), field);
  });
}

test("an unknown field is refused as a misspelling", async () => {
  const input = { ...base, memoryMiB: 512 } as SandboxConfigInput;
  await assert.rejects(Sandbox.create(input), (error: unknown) => {
    assert.ok(error instanceof InvalidConfigError);
    assert.match(error.message, /memoryMiB/);
    return true;
  });
});

test("values of a wrong type leave nothing behind", async () => {
  const wrong: readonly unknown[] = [
    { ...base, scripts: { a: 5 } },
    { ...base, image: { kind: "oci" } },
    { ...base, image: { kind: "disk", path: "a", format: "iso" } },
  ];
  for (const input of wrong)
    await assert.rejects(Sandbox.create(input as SandboxConfigInput), InvalidConfigError);
  assert.deepEqual(await readdir(home), []);
});

test("an image object stays the caller's", () => {
  const image = { kind: "oci" as const, reference: "localhost/base" };
  Sandbox.builder("later").image(image).build();
  assert.equal(Object.isFrozen(image), false);
});
