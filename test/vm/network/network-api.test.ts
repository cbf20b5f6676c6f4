import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { get, type IncomingMessage } from "node:http";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import {
  Destination,
  NetworkPolicy,
  PortRange,
  Rule,
  RuntimeError,
  Sandbox,
  SandboxNotRunningError,
  type NetworkLogEvent,
} from "../../../src/index.ts";
import { smallMemory } from "../lifecycle-support.ts";
import { printed, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["boots"];

const home = useTemporaryHome();
const hello = ["-ll", "-p", "8000", "-e", "echo", "hello"];

/** A server of the host that the guest reaches by its gateway's name, once a rule allows it. */
const peers: Socket[] = [];
const server: Server = createServer({ allowHalfOpen: true }, (peer) => {
  peers.push(peer.on("error", () => undefined));
  peer.write("welcome\n");
});
let hostPort = 0;
let sandbox: Sandbox;

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  hostPort = (server.address() as AddressInfo).port;
  sandbox = await Sandbox.builder("network-api")
    .image("localhost/base")
    .memory(smallMemory)
    .network((network) =>
      network
        .policy({ ...NetworkPolicy.none(), defaultIngress: "allow", rules: [Rule.allowDns()] })
        .port(0, 8000),
    )
    .create();
  await sandbox.execStream("nc", hello);
});
after(async () => {
  // Open, they would keep this program from ending when there is no sandbox.
  server.close();
  for (const peer of peers) peer.destroy();
  await sandbox.stop();
});

async function all(events: AsyncIterable<NetworkLogEvent>): Promise<NetworkLogEvent[]> {
  const found: NetworkLogEvent[] = [];
  for await (const event of events) found.push(event);
  return found;
}

/** What somebody at a port of the host says. */
async function said(port: number): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  return await text(socket);
}

const allowHost = (): Rule => ({
  ...Rule.allowEgress(Destination.group("host")),
  protocols: ["tcp"],
  ports: [PortRange.single(hostPort)],
});

test("a port that any would do for is told, and leads to the guest", async () => {
  const [port] = await sandbox.ports();
  assert.ok(port !== undefined && port.hostPort > 0 && port.guestPort === 8000);
  await sandbox.waitForPort(8000);
  assert.equal(await said(port.hostPort), "hello\n");
  const handle = await Sandbox.get("network-api");
  assert.deepEqual(handle.publishedPorts, [port]);
});

test("a program of the host speaks to a port of the guest that is not published", async () => {
  assert.equal(await text(await sandbox.connect(8000)), "hello\n");
  await assert.rejects(sandbox.connect(8001), RuntimeError);
  const web = await sandbox.execStream("httpd", ["-f", "-p", "8002", "-h", "/etc"]);
  await sandbox.waitForPort(8002);
  const agent = sandbox.httpAgent(8002);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get({ agent, path: "/hostname" }, resolve).on("error", reject);
  });
  assert.equal(response.statusCode, 200);
  assert.equal((await text(response)).trim(), "network-api");
  await web.kill();
});

test("what is refused is told at once, with what decided", async () => {
  const live = sandbox.networkEvents({ follow: true, since: new Date() });
  const denied = (async () => {
    for await (const event of live)
      if (event.kind === "flow-denied" && event.address === "192.0.2.1") return event;
    return null;
  })();
  const { code } = await sandbox.exec("nc", ["-w", "5", "192.0.2.1", "80"]);
  assert.notEqual(code, 0);
  const event = await denied;
  assert.ok(event?.port === 80 && event.rule === null && event.protocol === "tcp", JSON.stringify(event));
  const { counters, policy } = await sandbox.networkStatus();
  assert.ok(counters.flowsDenied >= 1 && counters.txFrames > 0 && counters.rxBytes > 0);
  assert.equal(policy.defaultEgress, "deny");
  const metrics = await sandbox.metrics();
  assert.ok(metrics.netRxBytes > 0 && metrics.netTxBytes > 0 && metrics.netFlowsDenied >= 1);
});

describe("a change of the running network", () => {
  test("lets connections through from then on, and takes them away again", async () => {
    await sandbox.updateNetwork({ addRules: [allowHost()] });
    const guest = await sandbox.execStream("sh", [
      "-c",
      `nc host.microsandbox.internal ${hostPort}; echo over`,
    ]);
    await printed(guest);
    const { flows } = await sandbox.networkStatus();
    assert.ok(
      flows.some(({ port }) => port === hostPort),
      JSON.stringify(flows),
    );
    await sandbox.updateNetwork({ addRules: [{ ...allowHost(), action: "deny" }] });
    // It has ended, although neither side wanted that.
    const output = await guest.collect();
    assert.match(output.stdout(), /over/);
    const told = await all(sandbox.networkEvents());
    assert.ok(
      told.some((event) => event.kind === "flow-opened" && event.port === hostPort && event.rule === 0),
    );
    assert.ok(told.some((event) => event.kind === "flow-closed" && event.reason === "policy"));
    assert.equal(told.filter((event) => event.kind === "policy").length, 3);
  });

  test("publishes ports and takes them back", async () => {
    const { ports } = await sandbox.updateNetwork({ publish: [{ hostPort: 0, guestPort: 8000 }] });
    assert.equal(ports.length, 2);
    const port = ports[1]?.hostPort ?? 0;
    assert.equal(await said(port), "hello\n");
    assert.deepEqual(await sandbox.ports(), ports);
    await sandbox.updateNetwork({ unpublish: [{ hostPort: port }] });
    assert.equal((await sandbox.ports()).length, 1);
    await assert.rejects(said(port), { code: "ECONNREFUSED" });
  });

  test("a port that is taken is refused, and with it all of the change", async () => {
    const before = await sandbox.networkStatus();
    const taken = { hostPort, guestPort: 8000 };
    await assert.rejects(sandbox.updateNetwork({ observe: true, publish: [taken] }));
    const now = await sandbox.networkStatus();
    assert.deepEqual([now.observe, now.ports, now.policy], [false, before.ports, before.policy]);
  });
});

test("what was used is suggested as a policy", async () => {
  const { defaultEgress, rules } = await sandbox.suggestPolicy();
  assert.equal(defaultEgress, "deny");
  assert.ok(
    rules.some(({ ports, action }) => action === "allow" && ports.some(({ start }) => start === hostPort)),
    JSON.stringify(rules),
  );
});

test("the log has all of it when the sandbox has ended, and what was to be kept is there in the next run", async () => {
  await sandbox.updateNetwork({ policy: NetworkPolicy.none() }, { persist: true });
  await sandbox.updateNetwork({ observe: true });
  const handle = await Sandbox.get("network-api");
  const followed = all(handle.networkEvents({ follow: true }));
  await sandbox.stop();
  const told = await followed;
  const lines = (await readFile(join(home, "sandboxes/network-api/logs/network.log"), "utf8"))
    .trim()
    .split("\n");
  assert.equal(told.length, lines.length);
  assert.deepEqual(await handle.ports(), []);
  await assert.rejects(handle.networkStatus(), SandboxNotRunningError);
  sandbox = await handle.start();
  const { policy, observe } = await sandbox.networkStatus();
  assert.deepEqual([policy, observe], [{ ...NetworkPolicy.none() }, false]);
});
