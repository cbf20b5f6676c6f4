import assert from "node:assert/strict";
import { test } from "node:test";
import { entry, guestThat, guestWithTree, directory, file } from "../../../test/support/guest-tree.ts";
import { InvalidConfigError, SandboxFsError } from "../../errors/index.ts";
import type { Message } from "../../protocol/generated/messages.ts";
import { encodeProblem } from "../../protocol/tree-records.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import { bytesOf } from "./contents.ts";
import { readListing } from "./fs-listing.ts";
import type { GuestFsEntry } from "./guest-entry.ts";
import { SandboxFs } from "./sandbox-fs.ts";

// What becomes of calls and answers on this side of the wire.

/** The files of a guest that notes what it is asked, and has one file. */
function noting(): { fs: SandboxFs; asked: Message[] } {
  const asked: Message[] = [];
  const owner = guestThat((stream, message) => {
    asked.push(message);
    const about = { kind: "file", mode: 0o640, uid: 1, gid: 2, mtimeNs: 1_500_000_001n, size: 3 } as const;
    const none = Buffer.alloc(0);
    if (message.type === "FileStat")
      stream.send({
        type: "FileMetadata",
        entry: { ...about, path: none, target: none },
        createdNs: null,
        links: 1,
      });
    else stream.send({ type: "FileDone" });
  });
  return { fs: new SandboxFs(owner as SandboxControl), asked };
}

function problem(path: string, operation: string, errno: number): Buffer {
  return encodeProblem({ path: Buffer.from(path), operation, errno, message: "so" });
}

/** What a listing of /proc tells, and what it fails with at its end. */
async function listed(records: readonly Buffer[], recursive: boolean): Promise<[GuestFsEntry[], unknown]> {
  const files = guestWithTree([directory(""), ...records]);
  const found: GuestFsEntry[] = [];
  const listing = files.run("list", "/proc", {}, async (call) => {
    for await (const one of readListing(files, call, recursive)) found.push(one);
  });
  return [
    found,
    await listing.then(
      () => null,
      (error: unknown) => error,
    ),
  ];
}

test("what cannot be looked at is listed as other, and what has gone meanwhile is not", async () => {
  const records = [entry("1"), problem("1234", "stat", 2), problem("odd", "stat", 5), entry("2")];
  const [found, failed] = await listed(records, false);
  assert.equal(failed, null);
  assert.deepEqual(
    found.map(({ path, kind }) => [path, kind]),
    [
      ["/proc/1", "file"],
      ["/proc/odd", "other"],
      ["/proc/2", "file"],
    ],
  );
  const odd = found[1];
  assert.deepEqual([odd?.modified, odd?.mode, odd?.size, odd?.isUtf8], [null, 0, 0, true]);
  assert.deepEqual(odd?.pathBytes, Buffer.from("/proc/odd"));
});

test("a directory that cannot be listed is told by its whole path, after all else; one that has gone is not", async () => {
  const records = [
    directory("gone"),
    problem("gone", "open", 2),
    directory("closed"),
    problem("closed", "open", 13),
    file("last", "x").subarray(0, entry("last", { size: 1 }).length),
  ];
  const [found, failed] = await listed(records, true);
  assert.deepEqual(
    found.map(({ path }) => path),
    ["/proc/gone", "/proc/closed", "/proc/last"],
  );
  assert.ok(failed instanceof SandboxFsError, String(failed));
  assert.deepEqual([failed.path, failed.errnoName, failed.operation], ["/proc/closed", "EACCES", "open"]);
});

test("a mode is said, in whole, or nothing is asked", async () => {
  const { fs, asked } = noting();
  for (const mode of [undefined, null, "755", "0o755", 0o10000, 0o120777, -1, 1.5, Number.NaN])
    await assert.rejects(fs.chmod("/x", mode as number), InvalidConfigError, String(mode));
  await assert.rejects(fs.write("/x", "", { mode: 0o10000 }), InvalidConfigError);
  assert.equal(asked.length, 0);
  await fs.chmod("/x", 0o100640);
  await fs.chmod("/x", 0o041777);
  await fs.mkdir("/x", { mode: null });
  assert.deepEqual(
    asked.map((message) => ("mode" in message ? message.mode : message.type)),
    [0o640, 0o1777, null],
  );
});

test("what is known of a file can be written as JSON", async () => {
  const { fs } = noting();
  const found = await fs.stat("/x");
  assert.equal(found.modifiedNs, 1_500_000_001n);
  const json = JSON.parse(JSON.stringify({ ...found })) as Record<string, unknown>;
  assert.deepEqual([json["size"], json["modified"]], [3, "1970-01-01T00:00:01.500Z"]);
  assert.ok(!("modifiedNs" in json));
});

test("there is nothing of a name that is too long, and no answer for what is no path", async () => {
  const { fs, asked } = noting();
  const long = "é".repeat(128);
  for (const path of [`/${long}`, `/a/${long}/b`, "/name".repeat(820), Buffer.from(`/${long}`)])
    assert.equal(await fs.exists(path), false);
  assert.equal(asked.length, 0);
  assert.equal(await fs.exists(`/${"a".repeat(255)}`), true);
  for (const path of ["relative", "/nul\0", "", 7 as unknown as string])
    await assert.rejects(fs.exists(path), InvalidConfigError);
});

test("bytes may come in any view of them", () => {
  const whole = Uint8Array.from([0, 1, 2, 3, 4, 5, 6, 7]);
  const { buffer } = whole;
  assert.deepEqual(bytesOf(buffer), Buffer.from(whole));
  assert.deepEqual(bytesOf(new DataView(buffer, 2, 3)), Buffer.from([2, 3, 4]));
  assert.deepEqual(bytesOf(new Uint16Array(buffer, 4)), Buffer.from([4, 5, 6, 7]));
  for (const other of [null, undefined, 7, [1, 2], {}])
    assert.throws(() => bytesOf(other), InvalidConfigError);
});
