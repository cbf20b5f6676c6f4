import "../../internet/namespace.ts";
import assert from "node:assert/strict";
import { once } from "node:events";
import { createSocket } from "node:dgram";
import { connect, createServer, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import type { ExecHandle, Sandbox } from "../../../src/index.ts";
import { ports } from "../../internet/places.ts";
import { processesGone, processOf } from "../lifecycle-support.ts";
import { eventually, printed } from "../support.ts";
import type { Needs } from "../tags.ts";
import { furnish, onTheInternet, openSockets, supervisorUse, useInternet } from "./network-support.ts";

export const needs: Needs = ["running", "internet"];

// Ends that nobody has asked for, with connections open in both directions: nothing of them is left.

const timeout = 240_000;
const openFlows = 20;
const { home, internet } = await useInternet();

interface Busy {
  readonly sandbox: Sandbox;
  readonly program: ExecHandle;
  /** Published for the guest's port 7, by TCP and UDP. */
  readonly hostPort: number;
  readonly udpPort: number;
  /** Who has come by the published port. Each resolves when the connection has ended. */
  readonly visitors: readonly Promise<unknown>[];
}

/** A sandbox with connections to outside that are open, and a published port. */
async function busy(t: TestContext, name: string): Promise<Busy> {
  const sandbox = await onTheInternet(name).port(0, 7).portUdp(0, 7).create();
  t.after(() => sandbox.kill().catch(() => undefined));
  await furnish(sandbox, internet, "flows.py", "serve.py");
  await sandbox.execStream("python3", ["/tmp/serve.py"]);
  await sandbox.waitForPort(7);
  const program = await sandbox.execStream("python3", ["/tmp/flows.py", "open", String(openFlows)]);
  await printed(program);
  const [tcp, udp] = await sandbox.ports();
  assert.ok(tcp?.protocol === "tcp" && udp?.protocol === "udp");
  assert.equal(echoSockets(), openFlows);
  const visitors = await Promise.all(Array.from({ length: openFlows }, () => visitor(tcp.hostPort)));
  return {
    ...{ sandbox, program, hostPort: tcp.hostPort, udpPort: udp.hostPort },
    // A reset is an end as well.
    visitors: visitors.map((socket) => new Promise((resolve) => socket.once("close", resolve))),
  };
}

/** Has been answered, and stays. */
async function visitor(hostPort: number): Promise<Socket> {
  const socket = connect(hostPort, "127.0.0.1");
  socket.write("x");
  await once(socket, "data");
  return socket.on("error", () => undefined).resume();
}

/** Connections to the echo server that are not over. */
const echoSockets = (): number => openSockets().filter(({ local }) => local === ports.echo).length;

async function portsAreFree({ hostPort, udpPort }: Busy): Promise<void> {
  const server = createServer().listen(hostPort, "127.0.0.1");
  await once(server, "listening");
  server.close();
  const socket = createSocket("udp4").bind(udpPort, "127.0.0.1");
  await once(socket, "listening");
  socket.close();
}

async function nothingLeft(name: string, all: Busy): Promise<void> {
  await processesGone(home, name);
  await Promise.all(all.visitors);
  await eventually("all connections to end", async () => {
    const open = openSockets().filter(
      ({ local, remote }) => local === ports.echo || [local, remote].includes(all.hostPort),
    );
    return open.length === 0 ? true : null;
  });
  await portsAreFree(all);
}

test("the peer, gone: the guest is told, and nothing is kept", { timeout }, async (t) => {
  const { sandbox, program } = await busy(t, "peer");
  const { descriptors } = await supervisorUse(home, "peer");
  for (const { socket } of internet.servers.connections.splice(0)) socket.resetAndDestroy();
  const { code } = await program.collect();
  assert.equal(code, 0);
  assert.equal(echoSockets(), 0);
  const after = await supervisorUse(home, "peer");
  assert.ok(after.descriptors <= descriptors - openFlows, `${descriptors}, then ${after.descriptors}`);
  await sandbox.kill();
});

for (const victim of ["qemu", "supervisor"] as const) {
  test(`${victim}, killed: no process, connection or port is left`, { timeout }, async (t) => {
    const all = await busy(t, victim);
    process.kill(await processOf(home, victim, victim), "SIGKILL");
    await nothingLeft(victim, all);
  });
}

test("a sandbox that is stopped leaves nothing either", { timeout }, async (t) => {
  const all = await busy(t, "stopped");
  await all.sandbox.kill();
  await nothingLeft("stopped", all);
});
