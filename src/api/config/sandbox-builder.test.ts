import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InvalidConfigError } from "../../errors/index.ts";
import { SandboxListBuilder, encodeCursor } from "../sandbox/list-builder.ts";
import { intoRootfsSource } from "../../config/rootfs-source.ts";
import { SandboxBuilder } from "./sandbox-builder.ts";
import { hasLabel } from "../../config/labels.ts";
import { parseStoredConfig } from "../../config/sandbox/stored-config.ts";
import { effectiveConfig } from "../../config/sandbox/effective-config.ts";
import { draftFromConfig, type SandboxConfigInput } from "../../config/sandbox/config-object.ts";
import { GiB, KiB, MiB, TiB } from "../../config/sizes.ts";

const builder = (): SandboxBuilder => new SandboxBuilder("name").image("localhost/base");

describe("building a configuration", () => {
  test("the builder and the object say the same", () => {
    const built = builder()
      .cpus(2)
      .memory(GiB(1))
      .env("A", "1")
      .envs({ B: "2" })
      .scripts({ s: "echo" })
      .label("l", "")
      .rlimit("nofile", 5)
      .entrypoint(["a"])
      .cmd([])
      .hostname("h")
      .user("u")
      .workdir("/w")
      .shell("/bin/sh")
      .logLevel("info")
      .pullPolicy("never")
      .maxDuration(1.5)
      .idleTimeout(2)
      .onHostShutdown("stop")
      .thp("never")
      .stopSignal("SIGRTMIN+3")
      .metricsSampleIntervalMs(5)
      .ephemeral()
      .disableNetwork()
      .quietLogs()
      .replace()
      .build();
    const input: SandboxConfigInput = {
      name: "name",
      image: "localhost/base",
      cpus: 2,
      memoryMib: 1024,
      env: [
        ["A", "1"],
        ["B", "2"],
      ],
      scripts: { s: "echo" },
      labels: { l: "" },
      rlimits: [{ resource: "nofile", soft: 5, hard: 5 }],
      entrypoint: ["a"],
      cmd: [],
      hostname: "h",
      user: "u",
      workdir: "/w",
      shell: "/bin/sh",
      logLevel: "info",
      pullPolicy: "never",
      maxDurationSecs: 1.5,
      idleTimeoutSecs: 2,
      onHostShutdown: "stop",
      thp: "never",
      stopSignal: "SIGRTMIN+3",
      metricsSampleIntervalMs: 5,
      ephemeral: true,
      disableNetwork: true,
      quietLogs: true,
      replace: true,
    };
    assert.deepEqual(built, draftFromConfig(input).finish());
  });

  test("the last value of a key counts, and of a scalar", () => {
    const { env, cpus, rlimits, labels, scripts } = builder()
      .cpus(1)
      .cpus(3)
      .env("A", "1")
      .env("B", "2")
      .env("A", "3")
      .label("k", "1")
      .labels({ k: "2" })
      .script("s", "1")
      .script("s", "2")
      .rlimit("core", 1)
      .rlimitRange("core", 2, 3)
      .build();
    assert.deepEqual(Object.fromEntries(env), { A: "3", B: "2" });
    assert.deepEqual([cpus, labels, scripts], [3, { k: "2" }, [["s", "2"]]]);
    assert.deepEqual(rlimits, [{ resource: "core", soft: 2, hard: 3 }]);
  });

  test("the result is frozen, all the way down, and the builder goes on", () => {
    const one = builder().env("A", "1");
    const config = one.build();
    assert.ok(Object.isFrozen(config) && Object.isFrozen(config.env) && Object.isFrozen(config.env[0]));
    one.env("B", "2");
    assert.equal(config.env.length, 1);
    assert.equal(one.build().env.length, 2);
  });

  const mistakes: Readonly<Record<string, (b: SandboxBuilder) => SandboxBuilder>> = {
    "no processor": (b) => b.cpus(0),
    "too many processors": (b) => b.cpus(256),
    "half a processor": (b) => b.cpus(1.5),
    "no memory": (b) => b.memory(0),
    "memory that is no number": (b) => b.memory(NaN),
    "a relative workdir": (b) => b.workdir("tmp"),
    "an empty shell": (b) => b.shell(""),
    "an empty hostname": (b) => b.hostname(""),
    "a hostname of 65 bytes": (b) => b.hostname("ü".repeat(32) + "x"),
    "an empty user": (b) => b.user(""),
    "an empty first word": (b) => b.entrypoint([""]),
    "a NUL in a word": (b) => b.cmd(["a", "b\0"]),
    "an environment without a name": (b) => b.env("", "v"),
    "a reserved environment variable": (b) => b.env("MSB_A", "v"),
    "a label without a key": (b) => b.label("", "v"),
    "a reserved label": (b) => b.label("microsandbox.x", "v"),
    "a script in a directory": (b) => b.script("a/b", ""),
    "a script named ..": (b) => b.script("..", ""),
    "a soft limit above the hard one": (b) => b.rlimitRange("nofile", 2, 1),
    "a limit of nothing": (b) => b.rlimit("files" as "nofile", 1),
    "no duration": (b) => b.maxDuration(0),
    "a negative idle time": (b) => b.idleTimeout(-1),
    "an unknown signal": (b) => b.stopSignal("SIGNONE"),
    "an unknown level": (b) => b.logLevel("loud" as "info"),
    "half a surrogate pair in the environment": (b) => b.env("A", "\ud800"),
    "half a surrogate pair in a variable's name": (b) => b.env("\udfff", "v"),
    "half a surrogate pair in the user": (b) => b.user("\ud800"),
    "half a surrogate pair in the workdir": (b) => b.workdir("/\ud800"),
    "half a surrogate pair in a label": (b) => b.label("a", "\ud800"),
    "half a surrogate pair in a label's key": (b) => b.label("\ud800", ""),
    "half a surrogate pair in the shell": (b) => b.shell("/bin/\ud800"),
    "half a surrogate pair in a word": (b) => b.cmd(["a", "\ud800"]),
    "half a surrogate pair in a script": (b) => b.script("s", "\ud800"),
    "half a surrogate pair in the image": (b) => b.image("./\ud800"),
    "half a surrogate pair in a password": (b) =>
      b.registry((r) => r.auth({ kind: "basic", username: "me", password: "\ud800" })),
    "a NUL in a label": (b) => b.label("a", "\0"),
    "a hostname of two lines": (b) => b.hostname("a\n127.0.0.1 example.org"),
    "a hostname of two words": (b) => b.hostname("a b"),
    "a hostname with a comment": (b) => b.hostname("a#b"),
    "a hostname with an escape sequence": (b) => b.hostname("a\u001b[2J"),
    "a script's name of 256 bytes": (b) => b.script("n".repeat(256), ""),
    "a workdir longer than any path": (b) => b.workdir(`/${"a/".repeat(2048)}`),
    "a workdir with a name of 256 bytes": (b) => b.workdir(`/a/${"ü".repeat(128)}`),
    "a variable longer than Linux takes": (b) => b.env("A", "x".repeat(128 * 1024 - 2)),
    "a word longer than Linux takes": (b) => b.entrypoint(["x".repeat(128 * 1024)]),
    "an environment larger than Linux takes": (b) =>
      b.envs(Array.from({ length: 200 }, (_, at) => [`V${at}`, "x".repeat(10_485)] as const)),
    "an environment larger than the stack allows": (b) =>
      b
        .rlimit("stack", 1024 * 1024)
        .envs({ A: "x".repeat(100_000), B: "x".repeat(150_000 - 20_000), C: "x".repeat(30_000) }),
    "a list where pairs belong": (b) => b.envs(["A=B"] as never),
    "a string where pairs belong": (b) => b.envs("A=B" as never),
    "a number where pairs belong": (b) => b.labels(5 as never),
    "a pair of three": (b) => b.envs([["A", "B", "C"]] as never),
    "a number as a value": (b) => b.envs({ A: 1 } as never),
    "a string where a list belongs": (b) => b.entrypoint("sh"),
    "a number where a list belongs": (b) => b.cmd(5 as never),
    "a number as a word": (b) => b.cmd([5] as never),
    "a limit that is text": (b) => b.rlimit("nofile", "5" as never),
    "processors that are text": (b) => b.cpus("2" as never),
    "memory without an end": (b) => b.memory(Infinity),
    "a time that is a Date": (b) => b.maxDuration(new Date() as never),
    "a switch that is text": (b) => b.ephemeral("no" as never),
    "no image source": (b) => b.image(null as never),
    "a list as the root disk": (b) => b.rootDisk([] as never),
    "nothing as the root disk": (b) => b.rootDisk(null as never),
    "no function": (b) => b.imageWith("alpine" as never),
    "no function for the registry": (b) => b.registry({} as never),
    "a signal that is none": (b) => b.signal({} as never),
  };
  for (const [what, configure] of Object.entries(mistakes)) {
    test(`${what} is refused at the end, not before`, () => {
      const wrong = configure(builder()).env("FINE", "1");
      assert.throws(() => wrong.build(), InvalidConfigError);
    });
  }

  test("what Linux takes at the most is taken", () => {
    const { env, cmd, hostname, scripts, workdir } = builder()
      .env("A", "x".repeat(128 * 1024 - 3))
      .cmd(["x".repeat(128 * 1024 - 1)])
      .hostname("ü-1.example")
      .script("n".repeat(255), "#!/bin/sh\n\0\u{1f600}")
      .workdir(`/${"n".repeat(255)}/b`)
      .build();
    assert.equal(env.length + (cmd?.length ?? 0) + scripts.length, 3);
    assert.deepEqual([hostname, workdir?.length], ["ü-1.example", 258]);
    const larger = builder()
      .rlimit("stack", Infinity)
      .envs(Array.from({ length: 500 }, (_, at) => [`V${at}`, "x".repeat(10_485)] as const));
    assert.equal(larger.build().env.length, 500);
  });

  test("keys that every object has are keys like others", () => {
    const keys = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty"];
    const pairs = keys.map((key) => [key, "v"] as const);
    const built = builder().labels(new Map(pairs)).envs(pairs).scripts(Object.fromEntries(pairs)).build();
    assert.deepEqual(Object.keys(built.labels), keys);
    assert.deepEqual(
      [built.env, built.scripts].map((list) => list.map(([key]) => key)),
      [keys, keys],
    );
    const stored = parseStoredConfig(JSON.stringify(effectiveConfig(built, {}, null)));
    assert.deepEqual(Object.entries(stored.labels), pairs);
    assert.deepEqual(stored.env, pairs);
    const one = builder().label("__proto__", "v").build();
    assert.deepEqual(Object.entries(one.labels), [["__proto__", "v"]]);
    assert.ok(hasLabel(one.labels, "__proto__", "v") && !hasLabel({}, "__proto__", "v"));
  });

  test("the first mistake is told; a bad name and a missing image too", () => {
    assert.throws(() => builder().cpus(0).memory(0).build(), /cpus/);
    assert.throws(() => new SandboxBuilder("n").build(), /no image/);
    assert.throws(() => new SandboxBuilder("").image("x").build(), InvalidConfigError);
    assert.throws(() => new SandboxBuilder("a/b").image("x").build(), InvalidConfigError);
    assert.throws(() => draftFromConfig(null as unknown as SandboxConfigInput), InvalidConfigError);
  });
});

describe("what was not set", () => {
  test("is taken from the user's settings, then from the defaults", () => {
    const config = builder().build();
    const plain = effectiveConfig(config, {}, null);
    assert.deepEqual(
      [
        plain.cpus,
        plain.memoryMib,
        plain.shell,
        plain.workdir,
        plain.hostname,
        plain.metricsSampleIntervalMs,
      ],
      [1, 512, "/bin/sh", null, "name", 1000],
    );
    const settings = { sandbox_defaults: { cpus: 3, memory_mib: 99, disable_metrics_sample: true } };
    const set = effectiveConfig(config, settings, "/kernel");
    assert.deepEqual(
      [set.cpus, set.memoryMib, set.metricsSampleIntervalMs, set.kernelPath],
      [3, 99, 0, "/kernel"],
    );
    const own = effectiveConfig(builder().cpus(2).metricsSampleIntervalMs(7).build(), settings, null);
    assert.deepEqual([own.cpus, own.metricsSampleIntervalMs], [2, 7]);
  });

  test("a hostname is derived from a long name, always the same and not longer than 64 bytes", () => {
    const hostname = (name: string): string =>
      effectiveConfig(new SandboxBuilder(name).image("x").build(), {}, null).hostname;
    const long = "n".repeat(100);
    assert.match(hostname(long), /^n{55}-[0-9a-f]{8}$/);
    assert.equal(hostname(long), hostname(long));
    assert.notEqual(hostname(long), hostname("n".repeat(101)));
    assert.equal(hostname("n".repeat(64)), "n".repeat(64));
  });
});

test("a string is a disk image, a directory or a reference", () => {
  assert.deepEqual(intoRootfsSource("a/disk.QCOW2"), { kind: "disk", path: "a/disk.QCOW2", format: "qcow2" });
  for (const path of [".", "..", "/root", "./root", "../root"]) {
    assert.deepEqual(intoRootfsSource(path), { kind: "bind", path });
  }
  for (const reference of ["alpine", "python:3.12", "registry.example/a/b@sha256:0", ".hidden"]) {
    assert.deepEqual(intoRootfsSource(reference), { kind: "oci", reference });
  }
  for (const input of ["", "a\0"]) assert.throws(() => intoRootfsSource(input), InvalidConfigError);
});

test("sizes are in MiB", () => {
  assert.deepEqual([KiB(512), MiB(3), GiB(2), TiB(1)], [0.5, 3, 2048, 1_048_576]);
});

test("a list's query has limits, and takes only cursors of its own", () => {
  const query = new SandboxListBuilder()
    .limit(100)
    .label("a", "1")
    .labels({ b: "2" })
    .cursor(encodeCursor("t", "n"))
    .query();
  assert.equal(query.limit, 100);
  assert.deepEqual(query.after, { createdAt: "t", name: "n" });
  assert.deepEqual(
    [...query.labels],
    [
      ["a", "1"],
      ["b", "2"],
    ],
  );
  for (const count of [0, 101, 1.5, NaN])
    assert.throws(() => new SandboxListBuilder().limit(count), InvalidConfigError);
  assert.throws(() => new SandboxListBuilder().limit("5" as never), InvalidConfigError);
  assert.throws(() => new SandboxListBuilder().label("a", 5 as never), InvalidConfigError);
  assert.throws(() => new SandboxListBuilder().labels(["a"] as never), InvalidConfigError);
  for (const cursor of ["", "x", Buffer.from("[1,2]").toString("base64url")]) {
    assert.throws(() => new SandboxListBuilder().cursor(cursor), /cursor is not valid/);
  }
});
