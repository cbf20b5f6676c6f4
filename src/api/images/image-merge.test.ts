import assert from "node:assert/strict";
import { test } from "node:test";
import type { ImageConfig } from "../../image/image-config.ts";
import type { StoredConfig } from "../../config/sandbox/stored-config.ts";
import { mergeImageConfig } from "./image-merge.ts";
import { SandboxBuilder } from "../config/sandbox-builder.ts";
import { effectiveConfig } from "../../config/sandbox/effective-config.ts";

const silent: ImageConfig = {
  env: [],
  cmd: null,
  entrypoint: null,
  workingDir: null,
  user: null,
  labels: {},
  stopSignal: null,
  exposedPorts: [],
  architecture: "amd64",
  os: "linux",
  created: null,
  diffIds: [],
};
const talkative: ImageConfig = {
  ...silent,
  env: ["PATH=/app/bin:/bin", "A=image", "EMPTY=", "EQUALS=a=b"],
  cmd: ["serve", "--port=80"],
  entrypoint: ["/app/start"],
  workingDir: "/app",
  user: "app:users",
  labels: { maintainer: "image", version: "1" },
  stopSignal: "SIGQUIT",
};

function merged(
  image: ImageConfig,
  set: (builder: SandboxBuilder) => SandboxBuilder = (builder) => builder,
): StoredConfig {
  const builder = set(new SandboxBuilder("merge").image("example.org/app"));
  return mergeImageConfig(effectiveConfig(builder.build(), {}, null), image);
}

test("what the user left open is as the image says", () => {
  const config = merged(talkative);
  assert.deepEqual(config.env, [
    ["PATH", "/app/bin:/bin"],
    ["A", "image"],
    ["EMPTY", ""],
    ["EQUALS", "a=b"],
  ]);
  assert.deepEqual(config.entrypoint, ["/app/start"]);
  assert.deepEqual(config.cmd, ["serve", "--port=80"]);
  assert.equal(config.workdir, "/app");
  assert.equal(config.user, "app:users");
  assert.deepEqual(config.labels, { maintainer: "image", version: "1" });
  assert.equal(config.stopSignal, "SIGQUIT");
});

test("a label's key may be what every object has", () => {
  const labels = JSON.parse('{"__proto__":"a","constructor":"b","prototype":"c","\\ud800":"d"}') as Record<
    string,
    string
  >;
  const config = merged({ ...silent, labels }, (builder) => builder.label("constructor", "mine"));
  assert.deepEqual(Object.entries(config.labels), [
    ["__proto__", "a"],
    ["constructor", "mine"],
    ["prototype", "c"],
  ]);
});

test("the stop signal is the user's, else the image's", () => {
  assert.equal(merged(talkative, (builder) => builder.stopSignal("INT")).stopSignal, "INT");
  assert.equal(merged(silent, (builder) => builder.stopSignal("INT")).stopSignal, "INT");
  assert.equal(merged(silent).stopSignal, null);
});

test("what the user set wins: environment and labels key by key, the rest as a whole", () => {
  const config = merged(talkative, (builder) =>
    builder
      .env("A", "user")
      .env("B", "user")
      .entrypoint(["/bin/sh"])
      .cmd([])
      .workdir("/")
      .user("root")
      .label("version", "2")
      .label("mine", ""),
  );
  assert.deepEqual(Object.fromEntries(config.env), {
    PATH: "/app/bin:/bin",
    A: "user",
    EMPTY: "",
    EQUALS: "a=b",
    B: "user",
  });
  assert.deepEqual(config.entrypoint, ["/bin/sh"]);
  assert.deepEqual(config.cmd, []);
  assert.equal(config.workdir, "/");
  assert.equal(config.user, "root");
  assert.deepEqual(config.labels, { maintainer: "image", version: "2", mine: "" });
});

test("ENTRYPOINT and CMD are inherited independently of each other", () => {
  const config = merged(talkative, (builder) => builder.entrypoint(["/bin/echo"]));
  assert.deepEqual([config.entrypoint, config.cmd], [["/bin/echo"], ["serve", "--port=80"]]);
});

test("an image that says nothing changes nothing", () => {
  const config = merged(silent, (builder) => builder.workdir("/srv"));
  assert.deepEqual(config.env, []);
  assert.equal(config.entrypoint, null);
  assert.equal(config.cmd, null);
  assert.equal(config.workdir, "/srv");
  assert.equal(config.user, null);
  assert.equal(config.stopSignal, null);
});

test("reserved and impossible names of the image are passed over", () => {
  const config = merged({
    ...silent,
    env: ["MSB_HOME=/evil", "=value", "NOVALUE", "NUL=a\0b", "GOOD=1"],
    labels: { "sandbox.owner": "x", "microsandbox.id": "x", "service.name": "x", "": "x", good: "1" },
  });
  assert.deepEqual(config.env, [["GOOD", "1"]]);
  assert.deepEqual(config.labels, { good: "1" });
});

test("the empty string of an old builder is no command; a relative workdir starts at the root", () => {
  const config = merged({ ...silent, cmd: [""], entrypoint: [""], workingDir: "app" });
  assert.equal(config.cmd, null);
  assert.equal(config.entrypoint, null);
  assert.equal(config.workdir, "/app");
});

test("labels keep every key that an image and a user can give", () => {
  const keys = ["__proto__", "constructor", "prototype"];
  const labels = Object.fromEntries(keys.map((key) => [key, "image"]));
  const both = mergeImageConfig(
    { ...merged(silent), labels: Object.fromEntries([["__proto__", "mine"]]) },
    {
      ...silent,
      labels,
    },
  );
  assert.deepEqual(Object.entries(both.labels), [
    ["__proto__", "mine"],
    ["constructor", "image"],
    ["prototype", "image"],
  ]);
});
