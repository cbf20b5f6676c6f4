import assert from "node:assert/strict";
import { once } from "node:events";
import {
  createServer as createHttpServer,
  get,
  request,
  type Agent,
  type ClientRequest,
  type IncomingMessage,
} from "node:http";
import { buffer, text } from "node:stream/consumers";
import { test, type TestContext } from "node:test";
import { Operation } from "../../host/operation.ts";
import {
  guestServer,
  networkSupervisor,
  type NetworkSupervisor,
} from "../../../test/support/network-supervisor.ts";
import { connectGuest } from "./connect-guest.ts";
import { guestHttpAgent, type ConnectToPort } from "./guest-agent.ts";

/** A guest with a web server that says how much it got, and who reaches it. */
async function web(
  t: TestContext,
): Promise<{ readonly supervisor: NetworkSupervisor; readonly connect: ConnectToPort }> {
  const supervisor = await networkSupervisor(t);
  const server = createHttpServer((asked, response) => {
    void buffer(asked).then(({ length }) => response.end(Buffer.alloc(length + 1, "x")));
  });
  await guestServer(supervisor.gateway, 80, server);
  const connect: ConnectToPort = async (port, signal) => {
    const options = signal === undefined ? {} : { signal };
    const socket = await Operation.run("connect", options, (operation) =>
      connectGuest(supervisor.control, port, operation),
    );
    return socket.on("error", () => undefined);
  };
  return { supervisor, connect };
}

async function ask(agent: Agent): Promise<string> {
  const [response] = (await once(get({ agent, path: "/" }), "response")) as [IncomingMessage];
  return await text(response);
}

/** Whatever error comes before. */
function closed(asked: ClientRequest): Promise<void> {
  return new Promise((resolve) => asked.once("close", () => resolve()));
}

test("an agent makes no more connections than it may have, however many are wanted at once", async (t) => {
  const { supervisor, connect } = await web(t);
  const agent = guestHttpAgent(connect, 80, { keepAlive: true, maxSockets: 3 });
  await Promise.all(Array.from({ length: 30 }, () => ask(agent)));
  assert.equal(supervisor.gateway.connections.length, 3);
  agent.destroy();
});

test("large bodies pass both ways", async (t) => {
  const { connect } = await web(t);
  const agent = guestHttpAgent(connect, 80, {});
  // The supervisor may end before the connection has.
  const asked = request({ agent, method: "POST" }).on("error", () => undefined);
  asked.end(Buffer.alloc(5_000_000));
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  assert.equal((await buffer(response)).length, 5_000_001);
});

test("a request that is given up while its connection is made ends that", async () => {
  const asked = Promise.withResolvers<AbortSignal>();
  const connect: ConnectToPort = (_port, signal) => {
    assert.ok(signal !== undefined);
    asked.resolve(signal);
    return new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(new Error("given up")));
    });
  };
  const agent = guestHttpAgent(connect, 80, { maxSockets: 1 });
  const first = get({ agent, path: "/" }).on("error", () => undefined);
  const signal = await asked.promise;
  first.destroy();
  await closed(first);
  assert.equal(signal.aborted, true);
});

test("a timeout of the request is that of its connection, made or not", async (t) => {
  const supervisor = await networkSupervisor(t);
  const silent = createHttpServer(() => undefined);
  await guestServer(supervisor.gateway, 80, silent);
  const never: ConnectToPort = (_port, signal) =>
    new Promise((_resolve, reject) => {
      signal?.addEventListener("abort", () => reject(new Error("given up")));
    });
  const real: ConnectToPort = (port) =>
    Operation.run("connect", {}, (operation) => connectGuest(supervisor.control, port, operation));
  for (const connect of [never, real]) {
    const asked = get({ agent: guestHttpAgent(connect, 80, { timeout: 50 }), path: "/" });
    asked.on("error", () => undefined);
    await once(asked, "timeout");
    asked.destroy();
    await closed(asked);
  }
});
