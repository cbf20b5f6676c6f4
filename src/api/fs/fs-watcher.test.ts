import assert from "node:assert/strict";
import { test } from "node:test";
import { filesOwner } from "../../../test/support/guest-tree.ts";
import { subscribedSupervisor } from "../../../test/support/subscribed-supervisor.ts";
import { OperationTimeoutError, ProtocolError } from "../../errors/index.ts";
import type { Stream } from "../../protocol/stream.ts";
import { FsWatcher } from "./fs-watcher.ts";
import { GuestFiles } from "./guest-files.ts";

/** A watcher of a directory of a guest that does as it is told. */
async function watch(): Promise<{ watcher: FsWatcher; change: (name: string) => void }> {
  let guest: Stream | undefined;
  const { borrow } = subscribedSupervisor((stream, { type }) => {
    guest = stream;
    if (type === "FileWatch") stream.send({ type: "FileOpened", size: 0 });
  });
  const files = new GuestFiles(filesOwner(borrow));
  const path = Buffer.from("/x");
  const watcher = await files.open("watch", "/x", { timeoutMs: 20_000 }, async (call) => {
    const stream = await files.stream(call, { type: "FileWatch", path });
    await stream.opened(call.operation.signal);
    return new FsWatcher(files.control, stream, path);
  });
  const change = (name: string): void => {
    const one = { kind: "created", name: Buffer.from(name), isDirectory: false, cookie: 0 } as const;
    guest?.send({ type: "FileChanges", changes: [one] });
  };
  return { watcher, change };
}

test("who waits behind another one gives up in his own time, and those after him have their turn", async () => {
  const { watcher, change } = await watch();
  const first = watcher.recv({ timeoutMs: 20_000 });
  await assert.rejects(watcher.recv({ timeoutMs: 20 }), OperationTimeoutError);
  const third = watcher.recv({ timeoutMs: 20_000 });
  change("a");
  assert.equal((await first)?.path, "/x/a");
  change("b");
  assert.equal((await third)?.path, "/x/b");
  await watcher[Symbol.asyncDispose]();
});

test("changes that nobody has asked for end the watch", async () => {
  const { watcher, change } = await watch();
  const first = watcher.recv({ timeoutMs: 20_000 });
  await Promise.resolve();
  change("a");
  change("b");
  await first;
  await assert.rejects(watcher.recv({ timeoutMs: 20_000 }), ProtocolError);
});
