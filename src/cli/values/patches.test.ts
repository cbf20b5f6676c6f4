import assert from "node:assert/strict";
import { homedir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { UsageError } from "../output/usage-error.ts";
import { parseCopy, parseCopyDir, parseCopyFile, parseRemoval } from "./patches.ts";

test("what is copied where", () => {
  assert.deepEqual(parseCopyFile("a:b/c.txt:/srv/c.txt"), {
    ...{ kind: "copyFile", src: "a:b/c.txt", dst: "/srv/c.txt", replace: true, keepDirectories: true },
  });
  assert.equal(parseCopyFile("~/x:/srv/x").src, join(homedir(), "x"));
  assert.equal(parseCopyDir("site:/srv/www").kind, "copyDir");
  assert.equal(parseCopy(`${import.meta.dirname}:/srv`).kind, "copyDir");
  assert.equal(parseCopy(`${import.meta.filename}:/srv/x`).kind, "copyFile");
});

test("what is removed is a path, and no image", () => {
  assert.equal(parseRemoval("/etc/motd"), "/etc/motd");
  assert.throws(
    () => parseRemoval("alpine"),
    (error) => error instanceof UsageError && /docker's --rm is not needed/.test(error.hint),
  );
});

test("what does not say it is refused", () => {
  for (const text of ["", "file", ":/srv", "file:srv", "file:"]) {
    assert.throws(() => parseCopyFile(text), UsageError, text);
  }
  assert.throws(() => parseCopy("/no/such/file:/srv"), UsageError);
});
