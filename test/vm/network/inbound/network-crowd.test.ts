import "../../../internet/namespace.ts";
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { before, test } from "node:test";
import { text } from "node:stream/consumers";
import type { Sandbox } from "../../../../src/index.ts";
import { eventually } from "../../support.ts";
import type { Needs } from "../../tags.ts";
import { furnish, onTheInternet, succeeds, supervisorUse, useInternet } from "../network-support.ts";

export const needs: Needs = ["running", "internet"];

// A published port and very many who come: at once, and one after the other.

const timeout = 240_000;
/** As many as may be open at a time. */
const idle = 4096;
const inSequence = 5000;
const atOnce = 16;

const { home, internet } = await useInternet();
let sandbox: Sandbox;
let port = 0;
before(async () => {
  sandbox = await onTheInternet("crowd").port(0, 7).create();
  await furnish(sandbox, internet, "serve.py");
  await sandbox.execStream("python3", ["/tmp/serve.py"]);
  await sandbox.waitForPort(7);
  port = (await sandbox.ports())[0]?.hostPort ?? 0;
});

/** Speaks, hears it again, and stays. */
async function visitor(said: string): Promise<Socket> {
  // An error after the first answer is that of a test that has failed.
  const socket = connect(port, "127.0.0.1").on("error", () => undefined);
  socket.write(said);
  const [heard] = (await once(socket, "data")) as [Buffer];
  assert.equal(heard.toString(), said);
  return socket;
}

async function passerBy(said: string): Promise<void> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  socket.end(said);
  assert.equal(await text(socket), said);
}

const openInGuest = async (): Promise<number> =>
  Number(await succeeds(sandbox, "ss -Htn state established sport = :7 | wc -l"));

/** That the supervisor has no more descriptors than it had. @returns its memory */
const settled = (descriptors: number): Promise<number> =>
  eventually("all connections to be over", async () => {
    const now = await supervisorUse(home, "crowd");
    return now.descriptors <= descriptors ? now.memoryMib : null;
  });

test(`${idle} connections are open at once, and nothing of them stays`, { timeout }, async (t) => {
  const unused = await supervisorUse(home, "crowd");
  const visitors = await Promise.all(Array.from({ length: idle }, (_, index) => visitor(`number ${index}`)));
  assert.equal(await openInGuest(), idle);
  assert.equal((await sandbox.networkStatus()).counters.activeFlows, idle);
  const used = await supervisorUse(home, "crowd");
  assert.ok(used.descriptors >= idle);
  t.diagnostic(`${unused.memoryMib.toFixed(0)} MiB, then ${used.memoryMib.toFixed(0)} with ${idle}`);
  assert.ok(used.memoryMib < unused.memoryMib + 128, `${unused.memoryMib} MiB, then ${used.memoryMib}`);
  await assert.rejects(passerBy("one too many"), { code: "ECONNRESET" });
  // Those who have come first and last are served as ever, and once one has gone there is room for another.
  for (const socket of [visitors[0], visitors.at(-1)]) {
    assert.ok(socket !== undefined);
    socket.write("again");
    assert.equal(String(((await once(socket, "data")) as [Buffer])[0]), "again");
  }
  const [gone] = visitors;
  gone?.end();
  await eventually("one to be over", async () =>
    (await sandbox.networkStatus()).counters.activeFlows < idle ? true : null,
  );
  await passerBy("one more");
  for (const [index, socket] of visitors.entries())
    if (index % 2 === 0) socket.end();
    else socket.resetAndDestroy();
  await settled(unused.descriptors);
  assert.equal(await openInGuest(), 0);
  assert.equal((await sandbox.networkStatus()).counters.activeFlows, 0);
});

test(
  `${inSequence} connections, one after the other, leave memory and descriptors as they are`,
  { timeout },
  async (t) => {
    const before = await supervisorUse(home, "crowd");
    let next = 0;
    const walk = async (): Promise<void> => {
      while (next < inSequence) await passerBy(`number ${next++}`);
    };
    await Promise.all(Array.from({ length: atOnce }, walk));
    const memoryMib = await settled(before.descriptors);
    t.diagnostic(`${before.memoryMib.toFixed(0)} MiB, then ${memoryMib.toFixed(0)}`);
    assert.ok(memoryMib < before.memoryMib + 128, `${before.memoryMib} MiB, then ${memoryMib}`);
    const { counters } = await sandbox.networkStatus();
    assert.ok(
      counters.flowsOpened >= idle + inSequence && counters.flowsDenied === 1,
      JSON.stringify(counters),
    );
  },
);
