import "../../internet/namespace.ts";
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
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
  /** Published for the guest's port 7. */
  readonly hostPort: number;
}

/** A sandbox with connections to outside that are open, and a published port. */
async function busy(t: TestContext, name: string): Promise<Busy> {
  const sandbox = await onTheInternet(name).port(0, 7).create();
  t.after(() => sandbox.kill().catch(() => undefined));
  await furnish(sandbox, internet, "flows.py");
  const program = await sandbox.execStream("python3", ["/tmp/flows.py", "open", String(openFlows)]);
  await printed(program);
  const [published] = await sandbox.ports();
  assert.ok(published !== undefined);
  assert.equal(echoSockets(), openFlows);
  return { sandbox, program, hostPort: published.hostPort };
}

/** Connections to the echo server that are not over. */
const echoSockets = (): number => openSockets().filter(({ local }) => local === ports.echo).length;

async function portIsFree(port: number): Promise<void> {
  const server = createServer().listen(port, "127.0.0.1");
  await once(server, "listening");
  server.close();
}

async function nothingLeft(name: string, hostPort: number): Promise<void> {
  await processesGone(home, name);
  await eventually("all connections to end", async () => (echoSockets() === 0 ? true : null));
  await portIsFree(hostPort);
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
    const { hostPort } = await busy(t, victim);
    process.kill(await processOf(home, victim, victim), "SIGKILL");
    await nothingLeft(victim, hostPort);
  });
}

test("a sandbox that is stopped leaves nothing either", { timeout }, async (t) => {
  const { sandbox, hostPort } = await busy(t, "stopped");
  await sandbox.kill();
  await nothingLeft("stopped", hostPort);
});
