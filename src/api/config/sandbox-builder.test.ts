import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InvalidConfigError } from "../../errors/index.ts";
import { SandboxListBuilder, encodeCursor } from "../sandbox/list-builder.ts";
import { intoRootfsSource } from "../../config/rootfs-source.ts";
import { SandboxBuilder } from "./sandbox-builder.ts";
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
    "scripts that are too large": (b) => b.script("s", "x".repeat(3 * 1024 * 1024 + 1)),
    "a soft limit above the hard one": (b) => b.rlimitRange("nofile", 2, 1),
    "a limit of nothing": (b) => b.rlimit("files" as "nofile", 1),
    "no duration": (b) => b.maxDuration(0),
    "a negative idle time": (b) => b.idleTimeout(-1),
    "an unknown signal": (b) => b.stopSignal("SIGNONE"),
    "an unknown level": (b) => b.logLevel("loud" as "info"),
  };
  for (const [what, configure] of Object.entries(mistakes)) {
    test(`${what} is refused at the end, not before`, () => {
      const wrong = configure(builder()).env("FINE", "1");
      assert.throws(() => wrong.build(), InvalidConfigError);
    });
  }

  test("the first mistake is told; a bad name and a missing image too", () => {
    assert.throws(() => builder().cpus(0).memory(0).build(), /cpus/);
    assert.throws(() => new SandboxBuilder("n").build(), /no image/);
    assert.throws(() => new SandboxBuilder("").image("x").build(), InvalidConfigError);
    assert.throws(() => new SandboxBuilder("a/b").image("x").build(), InvalidConfigError);
    assert.throws(() => draftFromConfig(null as unknown as SandboxConfigInput), TypeError);
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
  for (const cursor of ["", "x", Buffer.from("[1,2]").toString("base64url")]) {
    assert.throws(() => new SandboxListBuilder().cursor(cursor), /cursor is not valid/);
  }
});
