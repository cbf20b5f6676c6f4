import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import type { PublishedPort } from "../../../config/network/network-type.ts";
import type { PortReceiver } from "./listeners.ts";
import { PublishedPorts } from "./published-ports.ts";

function published(over: Partial<PublishedPort> = {}): PublishedPort {
  return {
    hostBind: "127.0.0.1",
    hostPort: 0,
    guestPort: 80,
    protocol: "tcp",
    proxyProtocol: false,
    ...over,
  };
}

/** Says from which port of the guest's something came, and what was taken back. */
function receiver(): PortReceiver & {
  readonly said: string[];
  readonly came: (count: number) => Promise<void>;
} {
  const said: string[] = [];
  const waiters = new Set<() => void>();
  const say = (what: string): void => {
    said.push(what);
    for (const waiter of waiters) waiter();
    waiters.clear();
  };
  return {
    said,
    came: async (count) => {
      while (said.length < count) await new Promise<void>((resolve) => waiters.add(resolve));
    },
    connection: ({ port }, socket) => {
      say(`connection ${String(port.guestPort)}`);
      socket.destroy();
    },
    datagram: (listener, _payload, peer) => {
      say(`datagram ${String(listener.port.guestPort)} ${String(listener.send(Buffer.from("reply"), peer))}`);
    },
    closed: ({ port }) => say(`closed ${String(port.guestPort)}`),
  };
}

for (const protocol of ["tcp", "udp"] as const) {
  const reach = async (hostPort: number): Promise<void> => {
    if (protocol === "tcp") {
      const socket = connect(hostPort, "127.0.0.1");
      await once(socket, "close");
      return;
    }
    const socket = createSocket("udp4");
    socket.send("x", hostPort, "127.0.0.1");
    await once(socket, "message");
    socket.close();
  };
  const came = (port: number): string =>
    protocol === "tcp" ? `connection ${port}` : `datagram ${port} true`;

  test(`${protocol}: a port moves to all addresses of the host, and back, in one change`, async () => {
    const ports = await PublishedPorts.bind([published({ protocol })], () => undefined);
    const served = receiver();
    ports.serve(served);
    const [first] = ports.list;
    assert.ok(first !== undefined);
    const everywhere = { ...first, hostBind: "0.0.0.0", guestPort: 81 };
    await (await ports.prepare({ unpublish: [first], publish: [everywhere] })).commit();
    assert.deepEqual(ports.list, [everywhere]);
    await reach(first.hostPort);
    await (await ports.prepare({ unpublish: [everywhere], publish: [first] })).commit();
    assert.deepEqual(ports.list, [first]);
    await reach(first.hostPort);
    assert.deepEqual(served.said, ["closed 80", came(81), "closed 81", came(80)]);
    await ports[Symbol.asyncDispose]();
  });

  test(`${protocol}: a change that fails leaves the port as it was`, async () => {
    const warnings: string[] = [];
    const ports = await PublishedPorts.bind([published({ protocol })], (message) => warnings.push(message));
    const served = receiver();
    ports.serve(served);
    const [first] = ports.list;
    assert.ok(first !== undefined);
    const everywhere = { ...first, hostBind: "0.0.0.0", guestPort: 81 };
    const impossible = published({ hostBind: "192.0.2.1" });
    const failing = ports.prepare({ unpublish: [first], publish: [everywhere, impossible] });
    await assert.rejects(failing, /192\.0\.2\.1:0\/tcp cannot be published/);
    await reach(first.hostPort);
    // The same when everything could be had, and the change failed elsewhere.
    await (await ports.prepare({ unpublish: [first], publish: [everywhere] })).rollback();
    await reach(first.hostPort);
    assert.deepEqual(served.said, [came(80), came(80)]);
    assert.deepEqual(ports.list, [first]);
    await assert.rejects(ports.prepare({ publish: [everywhere] }), {
      code: "invalidConfig",
      message: `port 0.0.0.0:${first.hostPort}/${protocol} is at the place of 127.0.0.1:${first.hostPort}/${protocol}, which is published already`,
    });
    await ports[Symbol.asyncDispose]();
  });
}

test("what has come by a port that is to move goes on when the change fails", async () => {
  const ports = await PublishedPorts.bind([published()], () => undefined);
  const [first] = ports.list;
  assert.ok(first !== undefined);
  const { promise, resolve } = Promise.withResolvers<Socket>();
  ports.serve({
    connection: (_port, socket) => resolve(socket),
    datagram: () => undefined,
    closed: () => undefined,
  });
  const socket = connect(first.hostPort, "127.0.0.1");
  const far = await promise;
  await (
    await ports.prepare({ unpublish: [first], publish: [{ ...first, hostBind: "0.0.0.0" }] })
  ).rollback();
  far.end("still here");
  const [data] = (await once(socket, "data")) as [Buffer];
  assert.equal(data.toString(), "still here");
  socket.destroy();
  far.destroy();
  await ports[Symbol.asyncDispose]();
});
