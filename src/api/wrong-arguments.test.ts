import assert from "node:assert/strict";
import { test } from "node:test";
import { SandboxDraft } from "../config/sandbox/sandbox-draft.ts";
import { effectiveConfig } from "../config/sandbox/effective-config.ts";
import { locateHome } from "../store/home.ts";
import { SandboxControl } from "./control/sandbox-control.ts";
import { Sandbox as SandboxObject } from "./sandbox/sandbox.ts";
import {
  Image,
  InvalidConfigError,
  Sandbox,
  SandboxNotFoundError,
  type AttachConfig,
  type ExecConfig,
} from "./index.ts";

// What JavaScript lets through is told where it is given: there is no home here, and no sandbox runs, so whatever is not refused
// before anything is looked for fails with another error.

const home = locateHome({ MSB_HOME: "/nonexistent/home" });

function sandbox(): Sandbox {
  const draft = new SandboxDraft("wrong");
  draft.set("image", "localhost/base");
  const config = effectiveConfig(draft.finish(), {}, null);
  const record = {
    format: 2 as const,
    id: "0",
    name: "wrong",
    createdAt: "2026-01-01T00:00:00.000Z",
    config,
  };
  return new SandboxObject(new SandboxControl(home, record, null, true), false, null);
}

const calls: Readonly<Record<string, () => Promise<unknown>>> = {
  "exec with a string for the arguments": () => sandbox().exec("echo", "abc"),
  "exec with options of the command": () => sandbox().exec("echo", [], { cwd: "/tmp" } as never),
  "exec with a number of ms": () => sandbox().exec("echo", [], 500 as never),
  "exec with half a surrogate pair": () => sandbox().exec("echo", ["\ud800"]),
  "exec of half a surrogate pair": () => sandbox().exec("\ud800"),
  "exec of no program": () => sandbox().exec(undefined as never),
  "shell with arguments": () => sandbox().shell("echo", ["a"] as never),
  "shell with half a surrogate pair": () => sandbox().shell("echo \udc00"),
  "execWith without a function": () => sandbox().execWith("echo", ["a"] as never),
  "execWith whose function returns nothing": () => sandbox().execWith("echo", (() => undefined) as never),
  "an exec object with an unknown key": () =>
    sandbox().execWithConfig({ cmd: "a", workdir: "/" } as ExecConfig),
  "an exec object with a wrong key": () => sandbox().execWithConfig({ cmd: "a", env: ["A=B"] } as never),
  "an exec object that is a string": () => sandbox().execStreamWithConfig("echo" as never),
  "an attach object with an unknown key": () =>
    sandbox().attachWithConfig({ cmd: "a", timeoutMs: 5 } as AttachConfig),
  "attach with unknown detach keys": () => sandbox().attachWith("sh", (a) => a.detachKeys("ctrl-1")),
  "logs with a number that is text": () => sandbox().logs({ tail: "5" as never }),
  "logs with a Date that is text": () => sandbox().logs({ since: "2026-01-01" as never }),
  "logs of no time": () => sandbox().logs({ until: new Date(NaN) }),
  "logs with one source": () => sandbox().logs({ sources: "stdout" as never }),
  "logs with an unknown option": () => sandbox().logs({ lines: 5 } as never),
  "a log stream with a tail": () => sandbox().logStream({ tail: 5 } as never),
  "a log stream that follows a string": () => sandbox().logStream({ follow: "yes" as never }),
  "metrics at an interval that is text": () =>
    Promise.resolve().then(() => sandbox().metricsStream("5" as never)),
  "metrics at a negative interval": () => Promise.resolve().then(() => sandbox().metricsStream(-1)),
  "a wait for an unknown status": () => sandbox().waitForStatus("Stopped" as never),
  "a stop with a grace that is text": () => sandbox().stopWithTimeout("5" as never),
  "a restart with an unknown option": () => sandbox().restart({ forced: true } as never),
  "a removal that is forced by text": () => sandbox().destroy({ force: "no" as never }),
  "a start with a callback that is none": () => Sandbox.start("wrong", { onProgress: true as never }),
  "a name that is none": () => Sandbox.get(5 as never),
  "a list with a limit": () => Sandbox.list({ limit: 5 } as never),
  "a list whose function returns nothing": () => Sandbox.listWith((() => undefined) as never),
  "a configuration that is a list": () => Sandbox.create([] as never),
  "a creation with an unknown option": () =>
    Sandbox.builder("wrong")
      .image("localhost/base")
      .create({ onProgress: () => undefined } as never),
  "a creation with a callback that is none": () =>
    Sandbox.create({ name: "wrong", image: "localhost/base" }, { onNotice: "stderr" as never }),
  "a list of files with null for options": () =>
    sandbox()
      .fs()
      .list("/", null as never),
  "a list of files with a number for options": () =>
    sandbox()
      .fs()
      .list("/", 5 as never),
  "times that are not given": () =>
    sandbox()
      .fs()
      .utimes("/a", undefined as never),
  "times that are null": () =>
    sandbox()
      .fs()
      .utimes("/a", null as never),
  "times that are one Date": () =>
    sandbox()
      .fs()
      .utimes("/a", new Date() as never),
  "images with an option": () => Image.list({ all: true } as never),
  "an image that is a number": () => Image.get(5 as never),
  "an image removed with text": () => Image.remove("a", { force: "no" as never }),
  "an archive with a tag that is a number": () => Image.load("/a.tar", { tag: 5 as never }),
  "images to save that are no list": () => Image.save(5 as never, { outputPath: "/a.tar" }),
  "images to save, one of them half a surrogate pair": () => Image.save(["\ud800"], { outputPath: "/a.tar" }),
};

for (const [what, call] of Object.entries(calls)) {
  test(`${what} is refused`, async (t) => {
    const before = process.env["MSB_HOME"];
    process.env["MSB_HOME"] = home.root;
    t.after(() => {
      if (before === undefined) delete process.env["MSB_HOME"];
      else process.env["MSB_HOME"] = before;
    });
    await assert.rejects(call, InvalidConfigError);
  });
}

test("an observer of creations may watch a start, and an option that is undefined is none", async (t) => {
  const before = process.env["MSB_HOME"];
  process.env["MSB_HOME"] = home.root;
  t.after(() => {
    if (before === undefined) delete process.env["MSB_HOME"];
    else process.env["MSB_HOME"] = before;
  });
  const ignore = (): void => undefined;
  const observer = { onProgress: ignore, onNotice: ignore, onStarted: ignore, onPullProgress: ignore };
  await assert.rejects(Sandbox.start("wrong", { ...observer, signal: undefined }), SandboxNotFoundError);
  await assert.rejects(
    sandbox().restart({ ...observer, detached: true, timeoutMs: 5 }),
    SandboxNotFoundError,
  );
});
