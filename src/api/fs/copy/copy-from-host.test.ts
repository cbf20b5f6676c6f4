import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { after, test } from "node:test";
import { guestThat } from "../../../../test/support/guest-tree.ts";
import { InvalidConfigError, IoError, SandboxFsError } from "../../../errors/index.ts";
import type { SandboxControl } from "../../control/sandbox-control.ts";
import { SandboxFs } from "../sandbox-fs.ts";
import { hostPathText, sourcePath } from "./host-path.ts";

const place = mkdtempSync(join(tmpdir(), "msb-from-host-"));
const source = join(place, "a file");
writeFileSync(source, "contents");
after(() => {
  rmSync(place, { recursive: true, force: true });
});

/** A guest in which a directory is at every path. */
function full(): SandboxFs {
  const owner = guestThat((stream, message) => {
    if (message.type !== "TreeReceive") return;
    const { path } = message;
    stream.send({ type: "FileOpened", size: 0 });
    stream.send({
      type: "FileFailed",
      path: Buffer.from(path),
      operation: "open",
      errno: 21,
      message: "Is a directory",
    });
  });
  return new SandboxFs(owner as SandboxControl);
}

test("who copies a file onto a directory is told the path of the file in it", async () => {
  for (const [from, to] of [
    [source, "/srv/"],
    [pathToFileURL(source), "/srv"],
  ] as const) {
    await assert.rejects(full().copyFromHost(from, to, { timeoutMs: 20_000 }), (error) => {
      assert.ok(error instanceof SandboxFsError, String(error));
      assert.equal(error.errnoName, "EISDIR");
      assert.match(error.hint, /name \/srv\/a file\.$/);
      return true;
    });
  }
  await assert.rejects(full().copyFromHost(place, "/srv", { timeoutMs: 20_000 }), (error) => {
    assert.ok(error instanceof SandboxFsError, String(error));
    assert.doesNotMatch(error.hint, /\/srv\//);
    return true;
  });
});

test("a path of the host is text or a file: URL", () => {
  assert.equal(hostPathText("it", pathToFileURL("/tmp/a b%")), "/tmp/a b%");
  for (const wrong of [
    new URL("https://example.com/x"),
    new URL("file:///a%00b"),
    Buffer.from("/tmp"),
    "",
    1,
    null,
  ])
    assert.throws(() => hostPathText("it", wrong), InvalidConfigError, String(wrong));
});

test("what is copied may have a name that is no UTF-8", async () => {
  const odd = Buffer.concat([Buffer.from(`${place}/`), Buffer.from([0xff, 0xfe])]);
  writeFileSync(odd, "odd contents");
  let received = "";
  const owner = guestThat(
    (stream) => {
      stream.send({ type: "FileOpened", size: 0 });
    },
    (stream, data) => {
      received = data.toString("latin1");
      stream.send({ type: "TreeDone", problemCount: 0, problems: [] });
    },
  );
  await new SandboxFs(owner as SandboxControl).copyFromHost(odd, "/x", { timeoutMs: 20_000 });
  assert.match(received, /odd contents$/);
  await assert.rejects(
    full().copyFromHost(Buffer.concat([odd, Buffer.from("x")]), "/x"),
    (error) => error instanceof IoError && error.message.includes("ENOENT"),
  );
});

test("bytes are relative to the working directory too", () => {
  assert.deepEqual(
    sourcePath("it", Buffer.from("a\xff", "latin1")).subarray(-3),
    Buffer.from("/a\xff", "latin1"),
  );
  assert.equal(sourcePath("it", "a").toString(), `${process.cwd()}/a`);
  for (const wrong of [Buffer.alloc(0), Buffer.from("/a\0b")])
    assert.throws(() => sourcePath("it", wrong), InvalidConfigError);
});
