import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { promisify } from "node:util";
import { listen, UdpListener } from "./listeners.ts";

const port = { hostBind: "127.0.0.1", hostPort: 0, guestPort: 80, proxyProtocol: false } as const;

/** Run where Node leaves every datagram to libuv's queue, as it does when the socket's buffer is full. */
const floods = `
  const { listen } = await import(${JSON.stringify(new URL("listeners.ts", import.meta.url).href)});
  const port = { hostBind: "127.0.0.1", hostPort: 0, guestPort: 80, protocol: "udp", proxyProtocol: false };
  const listener = await listen(port, console.error);
  const to = { address: "127.0.0.1", port: listener.port.hostPort };
  const flood = (bytes) => Array.from({ length: 200 }, () => listener.send(Buffer.alloc(bytes), to)).filter(Boolean).length;
  const taken = [];
  for (const bytes of [1, 60_000, 0]) {
    taken.push(flood(bytes));
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  }
  await listener.close();
  console.log(JSON.stringify(taken));
`;

test("of what the guest replies only so much waits for the host's socket", async () => {
  const args = ["--test-udp-no-try-send", "--input-type=module", "--eval", floods];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: {} });
  assert.deepEqual(JSON.parse(stdout), [64, 8, 64]);
});

test("datagrams from port 0 are nobody's: no reply can be sent there", async () => {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const listener = new UdpListener({ ...port, protocol: "udp" }, socket);
  const seen: number[] = [];
  listener.serve({
    connection: () => undefined,
    datagram: (_listener, _payload, peer) => seen.push(peer.port),
    closed: () => undefined,
  });
  const peer = { address: "127.0.0.1", family: "IPv4", size: 1 };
  for (const from of [0, 4000]) socket.emit("message", Buffer.from("x"), { ...peer, port: from });
  await listener.close();
  assert.deepEqual(seen, [4000]);
});

/** However it ends. */
async function closed(socket: Socket): Promise<void> {
  if (!socket.closed) await new Promise((resolve) => socket.once("close", resolve));
}

test("who comes early and gives up keeps no place that another one could have", async () => {
  const listener = await listen({ ...port, protocol: "tcp" }, (message) => assert.fail(message));
  const come = async (): Promise<Socket> => {
    const socket = connect(listener.port.hostPort, "127.0.0.1").on("error", () => undefined);
    await once(socket, "connect");
    return socket;
  };
  const first = await Promise.all(Array.from({ length: 64 }, come));
  // All places are taken: another one is refused.
  const refused = await come();
  await closed(refused);
  for (const [index, socket] of first.entries()) {
    socket.write("x");
    if (index >= 2) socket.resetAndDestroy();
  }
  // One that has said all it has to say is still there.
  first[0]?.end("first");
  await Promise.all(first.slice(2).map(closed));
  const late = await Promise.all(Array.from({ length: 62 }, come));
  late.at(-1)?.write("last");
  const none = await come();
  await closed(none);
  const served: Socket[] = [];
  listener.serve({
    connection: (_listener, socket) => served.push(socket),
    datagram: () => undefined,
    closed: () => undefined,
  });
  const alive = served.filter(({ destroyed }) => !destroyed);
  assert.equal(alive.length, 64);
  const said = await Promise.all(
    [alive[0], alive.at(-1)].map(async (one) =>
      String((await once(one?.resume() ?? assert.fail(), "data"))[0]),
    ),
  );
  assert.deepEqual(said, ["xfirst", "last"]);
  for (const socket of [...served, ...first, ...late]) socket.destroy();
  await listener.close();
});
