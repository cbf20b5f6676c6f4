import "../../internet/namespace.ts";
import assert from "node:assert/strict";
import { before, test } from "node:test";
import type { Sandbox } from "../../../src/index.ts";
import { places } from "../../internet/places.ts";
import { eventually, printed } from "../support.ts";
import type { Needs } from "../tags.ts";
import {
  furnish,
  onTheInternet,
  openSockets,
  said,
  succeeds,
  supervisorUse,
  useInternet,
} from "./network-support.ts";

export const needs: Needs = ["running", "internet"];

// Much of everything: connections one after the other, a reader that does not read, more connections than there may be.

const timeout = 600_000;
/**
 * Connections that are opened and closed, twice. By hand: MSB_TEST_CONNECTIONS=10000. Without a machine, so many are a unit test
 * (src/supervisor/short-connections.test.ts).
 */
const connections = Number(process.env["MSB_TEST_CONNECTIONS"] ?? 1000);

const { home, internet } = await useInternet();
let sandbox: Sandbox;
before(async () => {
  sandbox = await onTheInternet("load").create();
  await furnish(sandbox, internet, "flows.py");
});

test(`${connections} short connections leave memory and descriptors as they are`, { timeout }, async (t) => {
  const some = (count: number): Promise<string> => succeeds(sandbox, `python3 /tmp/flows.py short ${count}`);
  assert.equal(await some(connections), String(connections));
  const before = await supervisorUse(home, "load");
  assert.equal(await some(connections), String(connections));
  const after = await eventually("all of them to be over", async () => {
    const now = await supervisorUse(home, "load");
    return now.descriptors <= before.descriptors ? now : null;
  });
  t.diagnostic(`${before.memoryMib.toFixed(0)} MiB, then ${after.memoryMib.toFixed(0)}`);
  assert.ok(after.memoryMib < before.memoryMib + 40, `${before.memoryMib} MiB, then ${after.memoryMib}`);
});

test("who does not read holds up the server, not memory, and nobody else", { timeout }, async () => {
  const before = await supervisorUse(home, "load");
  const script = `
import socket
all = [socket.create_connection(("${places.host4}", 80)) for _ in range(8)]
for one in all: one.sendall(b"GET /bytes/200000000 HTTP/1.1\\r\\nHost: example.com\\r\\n\\r\\n")
print("waiting", flush=True)
import time; time.sleep(1000)`;
  await sandbox.fs().write("/tmp/lazy.py", script);
  const lazy = await sandbox.execStream("python3", ["/tmp/lazy.py"]);
  await printed(lazy);
  assert.equal(await succeeds(sandbox, "curl -sS http://example.com/bytes/5000000 | wc -c"), "5000000");
  const { memoryMib } = await supervisorUse(home, "load");
  assert.ok(memoryMib < before.memoryMib + 64, `${before.memoryMib} MiB, then ${memoryMib}`);
  await lazy.kill();
  await eventually("the connections to end", async () =>
    openSockets().some(({ local }) => local === 80) ? null : true,
  );
});

test("more connections than there may be are refused at once", { timeout }, async () => {
  const script = `
import socket
held, refused = [], 0
for _ in range(300):
    try: held.append(socket.create_connection(("${places.host4}", 7), 20))
    except ConnectionRefusedError: refused += 1
print(len(held), refused)`;
  await sandbox.fs().write("/tmp/many.py", script);
  assert.equal(await said(sandbox, "python3 /tmp/many.py"), "256 44");
  assert.equal(await succeeds(sandbox, "curl -sS http://v4.example.com/bytes/10 | wc -c"), "10");
});

test("an address that cannot be reached is told before the handshake is given up", { timeout }, async () => {
  // Less than the 30 s after which the gateway gives up, and tells something else.
  const script = `
import socket
for address in ("198.51.100.7", "2001:db8:dead::7"):
    try: socket.create_connection((address, 80), 25)
    except OSError as error: print(type(error).__name__, error.errno)`;
  await sandbox.fs().write("/tmp/far.py", script);
  // EHOSTUNREACH, as on this host, whose network has a route that leads nowhere.
  assert.equal(await said(sandbox, "python3 /tmp/far.py"), "OSError 113\nOSError 113");
});
