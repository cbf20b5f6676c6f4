import assert from "node:assert/strict";
import { resolve } from "node:path";
import { test } from "node:test";
import * as v from "valibot";
import { InvalidConfigError, PatchFailedError } from "../../errors/index.ts";
import { draftFromConfig } from "../sandbox/config-object.ts";
import { SandboxDraft } from "../sandbox/sandbox-draft.ts";
import { PatchKinds } from "../enums.ts";
import { Patch, type PatchConfig } from "./patch.ts";
import { PatchBuilder } from "./patch-builder.ts";
import { patchesType } from "./patches-type.ts";
import { storedPatchSchema } from "./stored-patch.ts";

const bytes = Buffer.from([0, 1, 255]);
const all = new PatchBuilder()
  .text("/t", "text")
  .file("/f", bytes, { mode: 0o600, replace: true })
  .copyFile("relative", "/cf", { mode: 0o4755 })
  .copyDir("/d", "/cd", { replace: true, keepDirectories: true })
  .symlink("../anywhere", "/l")
  .mkdir("/m", { mode: 0o700 })
  .remove("/r")
  .append("/a", "more")
  .build();

test("each kind is made with its defaults", () => {
  assert.deepEqual(all, [
    { kind: "text", path: "/t", content: "text", replace: false },
    { kind: "file", path: "/f", content: bytes, mode: 0o600, replace: true },
    { kind: "copyFile", src: resolve("relative"), dst: "/cf", mode: 0o4755, replace: false },
    { kind: "copyDir", src: "/d", dst: "/cd", replace: true, keepDirectories: true },
    { kind: "symlink", target: "../anywhere", link: "/l", replace: false },
    { kind: "mkdir", path: "/m", mode: 0o700 },
    { kind: "remove", path: "/r" },
    { kind: "append", path: "/a", content: "more" },
  ]);
  assert.deepEqual(
    all.map(({ kind }) => kind),
    [...PatchKinds],
  );
});

test("the record gives back what it was given, bytes in base64", () => {
  const json = JSON.stringify(all);
  assert.ok(json.includes(bytes.toString("base64")));
  const stored = v.parse(v.array(storedPatchSchema), JSON.parse(json));
  assert.deepEqual(stored, all);
  assert.equal(JSON.stringify(stored), json);
});

test("the builder, the factories and the configuration object say the same", () => {
  const draft = draftFromConfig({
    name: "same",
    image: "localhost/base",
    patches: [
      Patch.text("/t", "text"),
      { kind: "file", path: "/f", contentBytes: bytes, mode: 0o600, replace: true },
      Patch.copyFile("relative", "/cf", { mode: 0o4755 }),
      Patch.copyDir("/d", "/cd", { replace: true, keepDirectories: true }),
      Patch.symlink("../anywhere", "/l"),
      Patch.mkdir("/m", { mode: 0o700 }),
      Patch.remove("/r"),
      Patch.append("/a", "more"),
    ],
  });
  assert.deepEqual(draft.finish().patches, all);
  // A patch that was built is one that can be given.
  assert.deepEqual(patchesType.check("patches", all), all);
});

test("null says no more than what is left out", () => {
  const options = { mode: null, replace: null };
  const made = [Patch.text("/t", "text", options), Patch.mkdir("/m", { mode: null })];
  assert.deepEqual(patchesType.check("patches", made), [
    { kind: "text", path: "/t", content: "text", replace: false },
    { kind: "mkdir", path: "/m" },
  ]);
});

test("a mode may be one that stat(2) has told", () => {
  const [patch] = patchesType.check("patches", [Patch.mkdir("/m", { mode: 0o040750 })]);
  assert.equal(patch?.kind === "mkdir" ? patch.mode : null, 0o750);
});

test("what is given later does not change what was given", () => {
  const content = Buffer.from("before");
  const [patch] = patchesType.check("patches", [Patch.file("/f", content)]);
  content.fill(0);
  assert.equal(patch?.kind === "file" ? patch.content.toString() : null, "before");
});

test("repeated slashes and dots say nothing", () => {
  const [patch] = new PatchBuilder().mkdir("//srv/./a//b/").build();
  assert.equal(patch?.kind === "mkdir" ? patch.path : null, "/srv/a/b");
});

test("a file may be copied to a directory", () => {
  const [into, root, tree] = new PatchBuilder()
    .copyFile("some/motd", "/etc/")
    .copyFile("some/motd", "/")
    .copyDir("some", "/srv/")
    .build();
  assert.deepEqual(
    [into, root, tree].map((patch) => (patch !== undefined && "dst" in patch ? patch.dst : null)),
    ["/etc/", "/", "/srv"],
  );
});

test("what is no directory has no / at its end", () => {
  for (const make of [
    () => Patch.text("/etc/", ""),
    () => Patch.file("/etc/", bytes),
    () => Patch.symlink("x", "/etc/"),
    () => Patch.append("/etc/", ""),
  ])
    assert.throws(() => patchesType.check("patches", [make()]), /the \/ at its end/);
});

test("options that are none are refused, and not left out", () => {
  assert.throws(() => Patch.text("/a", "b", 0o600 as never), InvalidConfigError);
  assert.throws(() => Patch.mkdir("/a", null as never), /Patch\.mkdir\(\) is null/);
  const builder = new PatchBuilder().text("/a", "b", "0600" as never);
  assert.throws(() => builder.build(), InvalidConfigError);
});

const longName = `/${"é".repeat(128)}`;
const longPath = "/name".repeat(820);
const unpatched = [
  "relative",
  "/",
  "/.",
  "//",
  "/a/../b",
  "/..",
  "/nul\0",
  "/half\ud800",
  longName,
  longPath,
];
for (const path of unpatched) {
  test(`the path ${JSON.stringify(path).slice(0, 20)} is not patched`, () => {
    assert.throws(
      () => new PatchBuilder().remove(path).build(),
      (error) => error instanceof PatchFailedError && error.kind === "remove" && error.path === path,
    );
  });
}

const wrong: Record<string, unknown> = {
  "no kind": { path: "/a" },
  "a kind that there is not": { kind: "rename", path: "/a" },
  "a key of another kind": { kind: "mkdir", path: "/a", content: "x" },
  "a misspelt key": { kind: "text", path: "/a", content: "x", repalce: true },
  "text that is bytes": { kind: "text", path: "/a", content: bytes },
  "bytes that are text": { kind: "file", path: "/a", content: "x" },
  "no source": { kind: "copyFile", dst: "/a" },
  "no path": { kind: "remove" },
  "a mode that is none": { kind: "mkdir", path: "/a", mode: 0o10000 },
  "a mode that is text": { kind: "mkdir", path: "/a", mode: "755" },
  "replace that is no flag": { kind: "text", path: "/a", content: "x", replace: "yes" },
  "two contents": { kind: "file", path: "/a", content: bytes, contentBytes: Buffer.from([0]) },
  "keepDirectories that is no flag": { kind: "copyDir", src: "x", dst: "/a", keepDirectories: 1 },
  "keepDirectories of text": { kind: "text", path: "/a", content: "x", keepDirectories: true },
  "an empty target": { kind: "symlink", target: "", link: "/a" },
  nothing: null,
};

for (const [what, patch] of Object.entries(wrong)) {
  test(`${what} is no patch`, () => {
    assert.throws(() => patchesType.check("patches", [patch as PatchConfig]), InvalidConfigError);
  });
}

test("contents that are too long together are refused with what has no limit", () => {
  const half = Buffer.alloc(33 * 1024 * 1024);
  assert.throws(
    () => patchesType.check("patches", [Patch.file("/a", half), Patch.file("/b", half)]),
    (error) => error instanceof InvalidConfigError && error.hint.includes("copyFile"),
  );
});

function draft(image: string): SandboxDraft {
  const made = new SandboxDraft("patched");
  made.set("image", image);
  made.set("patches", [Patch.mkdir("/a")]);
  return made;
}

test("patches go with an image or a directory, not with a disk or memory", () => {
  assert.equal(draft("./directory").finish().patches.length, 1);
  assert.throws(() => draft("./disk.raw").finish(), InvalidConfigError);
  const inMemory = draft("localhost/base");
  inMemory.set("rootDisk", { kind: "tmpfs", sizeMib: null });
  assert.throws(() => inMemory.finish(), InvalidConfigError);
});
