/** Every setting of the table is everywhere where it should be, and nothing else is. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import * as v from "valibot";
import { settingsPage, withSettingsTable } from "../../scripts/generate-settings-table.ts";
import { LaterSettings } from "../../src/api/config/later-settings.ts";
import { RootSetters } from "../../src/api/config/root-setters.ts";
import { NetworkSetters } from "../../src/api/config/network-setters.ts";
import { SandboxBuilder } from "../../src/api/config/sandbox-builder.ts";
import { mergeImageConfig } from "../../src/api/images/image-merge.ts";
import { toText } from "../../src/cli/commands/sandbox/inspect.ts";
import { configure, creationOptions, type CreationValues } from "../../src/cli/create-options.ts";
import { longName } from "../../src/cli/grammar/command.ts";
import { mountFlags } from "../../src/cli/mount-flags.ts";
import { networkFlags } from "../../src/cli/network/network-flags.ts";
import { Progress } from "../../src/cli/output/progress.ts";
import { showValue } from "../../src/cli/values/setting-value.ts";
import { checkGlobalConfig } from "../../src/config/global/global-config.ts";
import { draftFromConfig } from "../../src/config/sandbox/config-object.ts";
import { configOf, effectiveConfig } from "../../src/config/sandbox/effective-config.ts";
import type { SandboxConfig } from "../../src/config/sandbox/sandbox-config.ts";
import type { NetworkBuilder } from "../../src/config/network/builders/network-builder.ts";
import type { OutboundProxyBuilder } from "../../src/config/network/proxy/proxy-builder.ts";
import { MountBuilder } from "../../src/config/mounts/mount-builder.ts";
import { storedConfigSchema } from "../../src/config/sandbox/stored-config.ts";
import type { AnySetting, Form } from "../../src/config/settings/setting.ts";
import { settersOf, settingEntries, settings, type SettingKey } from "../../src/config/settings/table.ts";

/** A value for each structure, as the configuration object takes it, and how its first setter is called with it. */
const structures: Partial<Record<SettingKey, readonly [input: unknown, ...args: unknown[]]>> = {
  image: ["localhost/other", "localhost/other"],
  rootDisk: [64, 64],
  registry: [{ insecure: true }, (registry: { insecure(): unknown }) => registry.insecure()],
  mounts: [
    [new MountBuilder("/data").named("cache").readonly().build()],
    "/data",
    (mount: MountBuilder) => mount.named("cache").readonly(),
  ],
  env: [{ A: "1" }, "A", "1"],
  scripts: [{ hi: "echo hi" }, "hi", "echo hi"],
  labels: [{ stage: "test" }, "stage", "test"],
  patches: [[{ kind: "mkdir", path: "/a" }], (patch: { mkdir(path: string): unknown }) => patch.mkdir("/a")],
  network: [{ maxConnections: 5 }, (network: NetworkBuilder) => network.maxConnections(5)],
  ports: [{ "8080": 80 }, 8080, 80],
  proxy: ["socks5://127.0.0.1:1080", (proxy: OutboundProxyBuilder) => proxy.socks5("127.0.0.1:1080")],
  rlimits: [[{ resource: "nofile", soft: 5, hard: 5 }], "nofile", 5],
};

/** They say together what the patches are. */
const patchFlags = ["copy", "copyFile", "copyDir", "mkdir", "rm"];

/** Values of which a setting takes the first that passes its check. */
const samples: Readonly<Record<Form["kind"], (form: Form) => readonly unknown[]>> = {
  whole: (form) => (form.kind === "whole" ? [form.maximum] : []),
  mebibytes: () => [96],
  seconds: () => [5],
  milliseconds: () => [7],
  text: () => ["SIGINT", "/sample"],
  choice: (form) => (form.kind === "choice" ? form.words.slice(-1) : []),
  flag: () => [true],
  words: () => [["sample"]],
  structure: () => [],
};

interface Sample {
  readonly input: unknown;
  /** What the first setter is called with. */
  readonly args: readonly unknown[];
}

function sampleOf(key: SettingKey, { type }: AnySetting): Sample {
  const structure = structures[key];
  if (structure !== undefined) {
    const [input, ...args] = structure;
    return { input, args };
  }
  for (const input of samples[type.form.kind](type.form)) {
    try {
      type.check(key, input);
      return { input, args: [input] };
    } catch {
      // The next one is tried.
    }
  }
  assert.fail(`${key}: this test has no value for it`);
}

/** A snapshot stands in the image's place. */
const imageBeside = (key: SettingKey): string | undefined =>
  key === "fromSnapshot" ? undefined : "localhost/base";

const builderWith = (key: SettingKey, setting: AnySetting): SandboxBuilder => {
  const builder = new SandboxBuilder("name");
  const image = imageBeside(key);
  if (image !== undefined) builder.image(image);
  const setters = builder as unknown as Readonly<
    Record<string, ((...args: unknown[]) => unknown) | undefined>
  >;
  const [name = ""] = settersOf(key, setting);
  const setter = setters[name];
  assert.ok(setter !== undefined, `the builder has no setter ${name}() for the setting ${key}`);
  setter.apply(builder, [...sampleOf(key, setting).args]);
  return builder;
};

const plain = new SandboxBuilder("name").image("localhost/base").build();

for (const [key, setting] of settingEntries) {
  describe(`the setting ${key}`, () => {
    const { type, stored, cli, global, inspect, default: builtIn } = setting;
    const { input } = sampleOf(key, setting);
    const simple = type.form.kind !== "structure";

    test("has its setters in the builder", () => {
      for (const setter of settersOf(key, setting))
        assert.ok(setter in SandboxBuilder.prototype, `the builder has no setter ${setter}() for ${key}`);
      assert.notDeepEqual(
        builderWith(key, setting).build()[key],
        plain[key],
        `the builder does not set ${key}`,
      );
    });

    test("is the same in the configuration object", () => {
      const object = draftFromConfig({
        name: "name",
        image: imageBeside(key) ?? null,
        [key]: input,
      });
      assert.deepEqual(object.finish()[key], builderWith(key, setting).build()[key]);
    });

    test("is refused where it is wrong, under a name that its users know", () => {
      if (!simple || type.form.kind === "words") return;
      const wrong = draftFromConfig({ name: "name", image: "x", [key]: {} });
      assert.throws(() => wrong.finish(), { code: "invalidConfig" });
    });

    test("is kept, if it is to be", () => {
      const kept = effectiveConfig(builderWith(key, setting).build(), {}, null);
      const read = v.parse(storedConfigSchema, JSON.parse(JSON.stringify(kept)));
      assert.equal(key in read, stored);
      if (!stored) return;
      assert.deepEqual(read, kept);
      assert.notDeepEqual(Reflect.get(read, key), Reflect.get(effectiveConfig(plain, {}, null), key));
    });

    test("can be missing in a record that is older than it", () => {
      if (!stored || !simple || key === "hostname") return;
      const { [key]: _missing, ...older } = { ...effectiveConfig(plain, {}, null) } as Record<
        string,
        unknown
      >;
      assert.deepEqual(Reflect.get(v.parse(storedConfigSchema, older), key), builtIn);
    });

    if (cli !== undefined) {
      test(`has the option --${longName(cli.flag)}`, () => {
        assert.ok(cli.flag in creationOptions, `msb create has no option --${longName(cli.flag)} for ${key}`);
        if (!simple) return;
        const repeated = Object.entries(creationOptions).filter(([, option]) => option.kind === "repeated");
        const nothing = Object.fromEntries(repeated.map(([name]) => [name, []]));
        const given = { ...nothing, [cli.flag]: input } as unknown;
        const builder = new SandboxBuilder("name");
        const progress = new Progress({ quiet: true, logLevel: null });
        configure(builder, imageBeside(key), given as CreationValues, null, progress);
        assert.deepEqual(builder.build()[key], builderWith(key, setting).build()[key]);
      });

      test("tells its default in the help", () => {
        if (builtIn === null || !simple || type.form.kind === "flag") return;
        const shown: Partial<Record<Form["kind"], string>> = {
          mebibytes: `${Number(builtIn)}M`,
          milliseconds: `${Number(builtIn) / 1000}s`,
        };
        const text = shown[type.form.kind] ?? showValue(type.form, builtIn);
        assert.match(cli.description, new RegExp(`\\(${text}[;)]`), `${key}: ${cli.description}`);
      });
    }

    if (global !== undefined && simple && key !== "libkrunfwPath") {
      test(`has its default in config.json, ${global}`, () => {
        const json = global.split(".").reduceRight<unknown>((inner, name) => ({ [name]: inner }), input);
        const config = effectiveConfig(plain, checkGlobalConfig(json, "config.json"), null);
        assert.deepEqual(Reflect.get(config, key), input);
        assert.throws(
          () =>
            checkGlobalConfig(
              JSON.parse(JSON.stringify(json).replace(global.replace(/.*\./, ""), "wrong_key")),
              "file",
            ),
          /wrong_key/,
        );
      });
    }

    test("has a line in msb inspect, if it is kept", () => {
      assert.equal(
        inspect !== undefined,
        stored || key === "libkrunfwPath",
        `${key}: its title in msb inspect`,
      );
      if (inspect === undefined) return;
      const config = builderWith(key, setting).build();
      const kept = effectiveConfig(config, {}, config.libkrunfwPath);
      const line = inspectLine(inspect, configOf({ name: "name", config: kept }));
      assert.notEqual(
        line,
        inspectLine(inspect, configOf({ name: "name", config: effectiveConfig(plain, {}, null) })),
      );
    });

    test("is taken from the image, if it is to be, and only then", () => {
      const merged = mergeImageConfig(effectiveConfig(plain, {}, null), {
        ...{ env: ["A=1"], cmd: ["serve"], entrypoint: ["/start"], workingDir: "/app", user: "app" },
        ...{
          labels: { a: "1" },
          stopSignal: "SIGQUIT",
          exposedPorts: [],
          architecture: "amd64",
          os: "linux",
        },
        ...{ created: null, diffIds: [] },
      });
      const same =
        JSON.stringify(Reflect.get(merged, key)) ===
        JSON.stringify(Reflect.get(effectiveConfig(plain, {}, null), key));
      assert.equal(same, setting.image === undefined);
    });
  });
}

/** With the lines that follow it. */
function inspectLine(title: string, config: SandboxConfig): string {
  const text = toText({
    config: () => config,
    name: "name",
    id: "1",
    status: "stopped",
    createdAt: new Date(0),
    updatedAt: new Date(0),
    publishedPorts: [],
    accelerator: null,
  });
  const lines = String(text).split("\n");
  const first = lines.findIndex((candidate) => candidate.startsWith(`${title}:`));
  assert.notEqual(first, -1, `msb inspect has no line ${title}`);
  const rest = lines.slice(first + 1);
  const end = rest.findIndex((candidate) => !candidate.startsWith(" "));
  return [lines[first], ...rest.slice(0, end === -1 ? rest.length : end)].join("\n");
}

test("the builder has no setter that is in no table", () => {
  const others = [
    ...["constructor", "build", "create", "createDetached", "createWithPullProgress", "connectOrCreate"],
    ...["createDetachedWithPullProgress", "onProgress", "onNotice", "onStarted", "onPullProgress", "signal"],
    "beside",
  ];
  const setters = settingEntries.flatMap(([key, setting]) => settersOf(key, setting));
  assert.deepEqual(
    [SandboxBuilder, RootSetters, NetworkSetters]
      .flatMap(({ prototype }) => Object.getOwnPropertyNames(prototype))
      .sort(),
    [...others, "constructor", "constructor", ...setters].sort(),
  );
  for (const later of Object.getOwnPropertyNames(LaterSettings.prototype))
    assert.ok(
      later === "constructor" || !setters.includes(later),
      `${later} is no setting of a later version any more`,
    );
});

test("a new sandbox has no option that is in no table", () => {
  const flags = settingEntries.flatMap(([, { cli }]) => (cli === undefined ? [] : [cli.flag]));
  assert.deepEqual(
    Object.keys(creationOptions).sort(),
    [
      "name",
      "quiet",
      "scriptPath",
      "fromSnap",
      ...patchFlags,
      ...Object.keys(mountFlags),
      ...Object.keys(networkFlags),
      ...flags,
    ].sort(),
  );
  const shorts = Object.values(creationOptions).flatMap((option) =>
    "short" in option ? [option.short] : [],
  );
  assert.equal(new Set(shorts).size, shorts.length, "two options have one letter");
});

test("a configuration has no field that is in no table", () => {
  const keys = [
    "name",
    "imageDigest",
    "snapshotDigest",
    "forkedFrom",
    "portsTcp",
    "portsUdp",
    "secrets",
    ...Object.keys(settings),
  ].sort();
  assert.deepEqual(Object.keys(plain).sort(), keys);
  assert.deepEqual(
    Object.keys(configOf({ name: "name", config: effectiveConfig(plain, {}, null) })).sort(),
    keys,
  );
});

test("docs/configuration.md has the table as it is (npm run generate:docs)", async () => {
  const page = readFileSync(settingsPage, "utf8");
  assert.equal(page, await withSettingsTable(page));
});
