import assert from "node:assert/strict";
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { GatewayUse } from "../../test/support/network/gateway-main.ts";
import { GuestPeer } from "../../test/support/network/guest-peer.ts";
import { supervisorNodeOptions } from "../start/contract/process.ts";

const program = join(import.meta.dirname, "../../test/support/network/gateway-main.ts");
const mebibyte = 1 << 20;

/** With V8's own limits the second half of these takes some 70 MiB; with a supervisor's, some 20 (x86-64). */
const mostMore = 40 * mebibyte;

test("10,000 short connections leave memory and descriptors as they are", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "msb-short-connections-"));
  const child = fork(program, [join(directory, "network.log")], {
    execArgv: [...supervisorNodeOptions],
    stdio: ["ignore", "inherit", "inherit", "pipe", "ipc"],
  });
  await once(child, "message");
  const guest = new GuestPeer(child.stdio[3] as Socket);
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined).on("data", (question) => socket.end(question));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  try {
    await connections(guest, port, 2000);
    const before = await useOf(child);
    await connections(guest, port, 8000);
    const after = await useOf(child);
    assert.deepEqual([after.flowsOpened, after.activeFlows], [10_000, 0]);
    assert.equal(after.descriptors, before.descriptors);
    const more = after.residentBytes - before.residentBytes;
    t.diagnostic(`${before.residentBytes / mebibyte} MiB, then ${after.residentBytes / mebibyte}`);
    assert.ok(more < mostMore, `${more / mebibyte} MiB more`);
  } finally {
    guest.close();
    server.close();
    child.kill();
    await rm(directory, { recursive: true });
  }
});

/** Each says something, is answered, and is ended by both; four at a time. */
async function connections(guest: GuestPeer, port: number, count: number): Promise<void> {
  for (let done = 0; done < count; done += 4)
    await Promise.all(Array.from({ length: 4 }, () => oneConnection(guest, port)));
}

async function oneConnection(guest: GuestPeer, port: number): Promise<void> {
  const conversation = guest.connect(port);
  await conversation.opened;
  await conversation.write(Buffer.from("question"));
  await conversation.otherEnded;
  conversation.connection?.end();
  assert.equal(await conversation.over, "closed");
}

/** When all flows are over: the host's side of the last ones ends a moment after the guest's. */
async function useOf(child: ChildProcess): Promise<GatewayUse> {
  for (;;) {
    child.send("use");
    const [use] = (await once(child, "message")) as [GatewayUse];
    if (use.activeFlows === 0) return use;
  }
}
