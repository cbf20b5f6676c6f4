import assert from "node:assert/strict";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { IoError, MicrosandboxError, PartialCopyError, ProtocolError } from "../../../errors/index.ts";
import type { Stream } from "../../../protocol/stream.ts";
import { encodeData, encodeHole, encodeProblem } from "../../../protocol/tree-records.ts";
import {
  directory,
  entry,
  file,
  guestThat,
  guestWithTree,
  link,
} from "../../../../test/support/guest-tree.ts";
import { GuestFiles } from "../guest-files.ts";
import { copyToHost } from "./copy-to-host.ts";

// A guest that lies: whatever it sends, nothing is written outside the path that was named, and what is there is what it was or whole.

const place = mkdtempSync(join(tmpdir(), "msb-hostile-"));
after(() => {
  rmSync(place, { recursive: true, force: true });
});

/** Copies what a guest sends. @param last what it says at the end; by default that all is well */
async function copy(
  name: string,
  records: readonly Buffer[],
  last?: (stream: Stream) => void,
): Promise<void> {
  const files = guestWithTree(records, last);
  await files.run("copy", "/x", { timeoutMs: 20_000 }, (call) =>
    copyToHost(files, call, `${place}/${name}`, {}),
  );
}

/** Every name below the place, but for those under the directory that was named. */
function elsewhere(name: string): string[] {
  return readdirSync(place, { recursive: true, encoding: "utf8" })
    .filter((path) => path !== name && !path.startsWith(`${name}/`))
    .toSorted();
}

/** Tries names in a directory that is there, and one that is not. */
async function refused(records: readonly Buffer[], expected: readonly string[]): Promise<void> {
  for (const name of ["old", "new"]) {
    if (name === "old") mkdirSync(join(place, name));
    const before = elsewhere(name);
    await assert.rejects(copy(name, records), (error) => {
      assert.ok(error instanceof PartialCopyError, String(error));
      assert.deepEqual(error.refused.map(({ path }) => path).toSorted(), expected.toSorted());
      return true;
    });
    assert.deepEqual(elsewhere(name), before);
    assert.equal(readFileSync(join(place, name, "after"), "utf8"), "after");
    rmSync(join(place, name), { recursive: true });
  }
}

test("paths that lead out are refused by name, and what comes after them is written", async () => {
  const paths = ["..", "../out", "a/../../out", "/out", "a//out", "./out", "a/./out", "a\0b"];
  const records = paths.map((path) => file(path, "out"));
  await refused([directory(""), directory("a"), ...records, file("after", "after")], paths);
});

test("a link is written and never followed, whatever comes by its name next", async () => {
  mkdirSync(join(place, "outside"), { recursive: true });
  writeFileSync(join(place, "outside/kept"), "kept");
  await refused(
    [
      directory(""),
      link("way", "../outside"),
      file("way/out", "out"),
      directory("way"),
      link("kept", "../outside/kept"),
      file("kept", "replaced"),
      link("absolute", "/etc"),
      file("absolute/out", "out"),
      file("after", "after"),
    ],
    ["way/out", "way", "absolute/out"],
  );
  assert.equal(readFileSync(join(place, "outside/kept"), "utf8"), "kept");
});

test("devices are refused, and entries whose directory did not come", async () => {
  await refused(
    [
      directory(""),
      entry("device", { kind: "other" }),
      file("missing/file", "x"),
      file("file", "x"),
      file("file/below", "x"),
      file("after", "after"),
    ],
    ["device", "missing/file", "file/below"],
  );
});

test("links that stand where a copy goes are not followed below the path that was named", async () => {
  mkdirSync(join(place, "named"));
  mkdirSync(join(place, "target"));
  symlinkSync(join(place, "target"), join(place, "named/dir"));
  await assert.rejects(
    copy("named", [directory(""), directory("dir"), file("dir/x", "x")]),
    PartialCopyError,
  );
  assert.deepEqual(readdirSync(join(place, "target")), []);
  assert.ok(lstatSync(join(place, "named/dir")).isSymbolicLink());
});

/** Copies the directory /x of a guest. */
async function copyDirectory(path: string): Promise<void> {
  const files = new GuestFiles(
    guestThat((stream, { type }) => {
      const none = Buffer.alloc(0);
      if (type === "FileRead")
        stream.send({
          type: "FileFailed",
          path: none,
          operation: "open",
          errno: 21,
          message: "Is a directory",
        });
    }),
  );
  await files.run("copy", "/x", { timeoutMs: 20_000 }, (call) => copyToHost(files, call, path, {}));
}

test("a directory does not take the place of anything else, and it is the host's side that says so", async () => {
  const at = join(place, "standing");
  mkdirSync(join(at, "real"), { recursive: true });
  writeFileSync(join(at, "file"), "kept");
  symlinkSync("real", join(at, "link"));
  const says = (message: RegExp) => (error: unknown) => {
    assert.ok(error instanceof IoError, String(error));
    assert.match(error.message, message);
    assert.doesNotMatch(error.hint, /list\(\)/);
    return true;
  };
  await assert.rejects(copyDirectory(join(at, "file")), says(/something else stands there/));
  await assert.rejects(copyDirectory(join(at, "link")), says(/a link to a directory/));
  // What is a directory's path takes nothing else.
  await assert.rejects(copyDirectory(`${join(at, "file")}/`), says(/something else stands there/));
  for (const slash of ["/", "/."]) {
    await assert.rejects(copy(`standing/new${slash}`, [file("", "x")]), says(/what is copied is none/));
    await assert.rejects(copy(`standing/real${slash}`, [file("", "x")]), says(/what is copied is none/));
  }
  assert.deepEqual(readdirSync(at).toSorted(), ["file", "link", "real"]);
  assert.deepEqual(readdirSync(join(at, "real")), []);
  assert.equal(readFileSync(join(at, "file"), "utf8"), "kept");
  await copy("standing/new/", [directory(""), file("in", "x")]);
  assert.equal(readFileSync(join(at, "new/in"), "utf8"), "x");
});

test("what came of a file that could not be read to its end is not kept, and an old one stays", async () => {
  const problem = (path: string): Buffer =>
    encodeProblem({ path: Buffer.from(path), operation: "read", errno: 5, message: "I/O" });
  mkdirSync(join(place, "voided"));
  writeFileSync(join(place, "voided/old"), "old");
  const cut = (path: string): Buffer[] => [
    entry(path, { size: 200_000 }),
    encodeData(100_000),
    Buffer.alloc(100_000, "x"),
    problem(path),
  ];
  await assert.rejects(
    copy("voided", [directory(""), ...cut("old"), ...cut("new"), file("after", "after")]),
    (error) => {
      assert.ok(error instanceof PartialCopyError, String(error));
      assert.deepEqual(
        error.refused.map(({ path }) => path),
        ["old", "new"],
      );
      return true;
    },
  );
  assert.deepEqual(readdirSync(join(place, "voided")).toSorted(), ["after", "old"]);
  assert.equal(readFileSync(join(place, "voided/old"), "utf8"), "old");
});

test("a copy that is given up leaves nothing, whatever modes its directories have, and says why", async () => {
  const before = elsewhere("");
  const isRoot = process.getuid?.() === 0;
  // Only for root is a directory that may not be written none.
  if (isRoot) {
    chmodSync(place, 0o777);
    process.seteuid?.(65_534);
  }
  try {
    const records = [entry("", { kind: "directory", mode: 0o555 }), file("a", "a")];
    await assert.rejects(
      copy("given-up", records, (stream) => {
        stream.send({
          type: "FileFailed",
          path: Buffer.from("/x"),
          operation: "read",
          errno: 5,
          message: "I/O",
        });
      }),
      { name: "SandboxFsError", errnoName: "EIO" },
    );
    assert.deepEqual(elsewhere(""), before);
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
});

test("what is no tree, or is cut off, ends the copy, and leaves nothing that was not there", async () => {
  const before = elsewhere("cut");
  const cases: readonly (readonly Buffer[])[] = [
    [],
    [file("x", "no root")],
    [directory(""), directory("")],
    [encodeData(3), Buffer.from("abc")],
    [directory(""), encodeHole(5)],
    [directory(""), entry("short", { size: 5 }), encodeData(3), Buffer.from("abc")],
    [directory(""), entry("short", { size: 5 }), directory("next")],
    [directory(""), entry("long", { size: 2 }), encodeData(3), Buffer.from("abc")],
    [directory(""), Buffer.from([0, 0, 0, 0])],
    [directory(""), Buffer.from([0xff, 0xff, 0xff, 0xff, 1])],
    [directory(""), Buffer.from([0, 0, 0, 1, 99])],
    [directory(""), file("whole", "whole").subarray(0, -2)],
    [entry("", { kind: "other" })],
  ];
  for (const records of cases) {
    await assert.rejects(copy("cut", records), (error) => {
      assert.ok(error instanceof ProtocolError || error instanceof IoError, String(error));
      return true;
    });
    assert.deepEqual(elsewhere(""), before);
  }
  await assert.rejects(
    copy("cut", [directory(""), file("a", "a")], (stream) => {
      stream.send({
        type: "FileFailed",
        path: Buffer.from("/x"),
        operation: "read",
        errno: 5,
        message: "I/O",
      });
    }),
    { name: "SandboxFsError", errnoName: "EIO" },
  );
  assert.deepEqual(elsewhere(""), before);
});

test("damage of every kind costs an error at most, and nothing outside", async () => {
  const whole = Buffer.concat([
    directory(""),
    directory("a"),
    file("a/b", "contents"),
    link("a/c", "b"),
    entry("hole", { size: 9 }),
    encodeHole(9),
  ]);
  // xorshift32 (Marsaglia, "Xorshift RNGs", 2003).
  let state = 20240229;
  const random = (limit: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return Math.floor(((state >>> 0) / 2 ** 32) * limit);
  };
  const before = elsewhere("fuzzed");
  let survived = 0;
  const rounds = 150;
  for (let round = 0; round < rounds; round++) {
    const damaged = Buffer.from(whole.subarray(0, random(4) === 0 ? random(whole.length) : whole.length));
    for (let change = random(3); change > 0 && damaged.length > 0; change--)
      damaged[random(damaged.length)] = [0, 0x2e, 0x2f, 1, 255, random(256)][random(6)] ?? 0;
    try {
      await copy("fuzzed", [damaged]);
      survived++;
    } catch (error) {
      assert.ok(error instanceof MicrosandboxError, String(error));
    }
    rmSync(join(place, "fuzzed"), { recursive: true, force: true });
    assert.deepEqual(elsewhere("fuzzed"), before);
  }
  assert.ok(survived > 0 && survived < rounds, `${survived} of ${rounds}`);
});
