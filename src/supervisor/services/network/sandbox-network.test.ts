import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { withSecrets } from "../../../config/network/changes/secrets-change.ts";
import type { SecretConfig } from "../../../config/network/interception/secret-type.ts";
import { InvalidConfigError, IoError, MicrosandboxError, RuntimeError } from "../../../errors/index.ts";
import type { Rule } from "../../../config/network/policy-type.ts";
import type { NetworkEvent } from "../../../network/events.ts";
import type { OpenFlow } from "../../../network/gateway.ts";
import { decodeFailure } from "../../../protocol/failure.ts";
import type { Message, NetworkStatusMessage } from "../../../protocol/generated/messages.ts";
import { locateHome } from "../../../store/home.ts";
import { secret } from "../../../../test/support/secret-sample.ts";
import { SandboxInterception } from "../interception/sandbox-interception.ts";
import {
  networkConfig,
  networkSupervisor,
  type NetworkSupervisor,
} from "../../../../test/support/network-supervisor.ts";

const rule: Rule = {
  ...{ direction: "egress", destination: { kind: "domain", domain: "example.com" } },
  ...{ protocols: ["tcp"], ports: [{ start: 443, end: 443 }], action: "allow" },
};

/** Asks as a client does, over the protocol. @throws the failure */
async function ask({ connection }: NetworkSupervisor, message: Message): Promise<NetworkStatusMessage> {
  const answer = await connection.request(message, new AbortController().signal);
  assert.equal(answer.type, "NetworkStatus");
  return answer;
}

const update = (
  supervisor: NetworkSupervisor,
  change: object,
  persist = false,
): Promise<NetworkStatusMessage> =>
  ask(supervisor, { type: "UpdateNetwork", change: JSON.stringify(change), persist });

test("a status tells what the gateway counts, what decides, and which flows are open", async (t) => {
  const supervisor = await networkSupervisor(t);
  const flow: OpenFlow = {
    ...{ flow: 2, openedMs: 5, direction: "egress", protocol: "tcp", address: "192.0.2.1" },
    ...{ port: 443, name: null, rule: null },
  };
  supervisor.gateway.openFlows = [flow];
  const status = await ask(supervisor, { type: "NetworkRequest", flows: true });
  assert.deepEqual({ ...status.counters }, supervisor.gateway.counters);
  assert.deepEqual(JSON.parse(status.policy), networkConfig.policy);
  assert.deepEqual(
    status.flows.map((one) => ({ ...one })),
    [flow],
  );
  assert.deepEqual((await ask(supervisor, { type: "NetworkRequest", flows: false })).flows, []);
});

test("rules are put before those that there are, and the log says what decides from then on", async (t) => {
  const supervisor = await networkSupervisor(t);
  const watch = supervisor.log.watchLines(() => undefined);
  await update(supervisor, { addRules: [rule] });
  const status = await update(supervisor, { addRules: [{ ...rule, action: "deny" }], observe: true });
  const actions = (JSON.parse(status.policy) as typeof networkConfig.policy).rules.map(
    ({ action }) => action,
  );
  assert.deepEqual(actions, ["deny", "allow"]);
  assert.equal(status.observe, true);
  assert.equal(supervisor.gateway.changes.length, 2);
  assert.equal(supervisor.gateway.changes[1]?.policy?.rules.length, 2);
  const logged = watch
    .take()
    ?.lines.map((line) => JSON.parse(line) as { policy: typeof networkConfig.policy });
  assert.deepEqual(
    logged?.map(({ policy }) => policy.rules.length),
    [1, 2],
  );
});

test("the log tells of a policy between what the old one has decided and what it decides itself", async (t) => {
  const supervisor = await networkSupervisor(t);
  const watch = supervisor.log.watchLines(() => undefined);
  const denied: NetworkEvent = {
    ...{ kind: "flow-denied", timestampMs: 5, flow: 1, direction: "egress", protocol: "tcp", count: 1 },
    ...{ address: "192.0.2.1", group: "public", port: 443, name: null, rule: null, reason: "policy" },
  };
  const made = supervisor.gateway.update.bind(supervisor.gateway);
  supervisor.gateway.update = async (change, inForce) => {
    supervisor.event(denied);
    await made(change, inForce);
    supervisor.event(denied);
  };
  await update(supervisor, { addRules: [rule] });
  assert.deepEqual(
    watch.take()?.lines.map((line) => (JSON.parse(line) as { kind: string }).kind),
    ["flow-denied", "policy", "flow-denied"],
  );
});

test("a change that the gateway refuses changes nothing, and the log tells of none", async (t) => {
  const supervisor = await networkSupervisor(t);
  supervisor.gateway.refusal = new RuntimeError("the port is taken");
  const watch = supervisor.log.watchLines(() => undefined);
  const port = { hostBind: "127.0.0.1", hostPort: 80, guestPort: 80, protocol: "tcp", proxyProtocol: false };
  await assert.rejects(update(supervisor, { addRules: [rule], publish: [port] }, true), /the port is taken/);
  const status = await ask(supervisor, { type: "NetworkRequest", flows: false });
  assert.deepEqual(JSON.parse(status.policy), networkConfig.policy);
  assert.equal(watch.take(), null);
  assert.deepEqual([supervisor.kept, supervisor.written], [[], []]);
});

test("changes that are asked for at once are made one after the other, and none is lost", async (t) => {
  const supervisor = await networkSupervisor(t);
  const { gateway } = supervisor;
  const made = gateway.update.bind(gateway);
  let underWay = 0;
  gateway.update = async (change, inForce) => {
    assert.equal(underWay++, 0);
    await new Promise(setImmediate);
    underWay--;
    await made(change, inForce);
  };
  await Promise.all(Array.from({ length: 5 }, () => update(supervisor, { addRules: [rule] })));
  const status = await ask(supervisor, { type: "NetworkRequest", flows: false });
  assert.equal((JSON.parse(status.policy) as typeof networkConfig.policy).rules.length, 5);
});

test("ports are published and taken back by what is known of them, and kept as they were asked for", async (t) => {
  const supervisor = await networkSupervisor(t);
  const port = { hostBind: "127.0.0.1", hostPort: 0, guestPort: 80, protocol: "tcp", proxyProtocol: false };
  const status = await update(supervisor, { publish: [port] }, true);
  assert.deepEqual(
    status.ports.map(({ hostPort }) => hostPort),
    [40_000],
  );
  assert.equal(supervisor.kept[0]?.ports[0]?.hostPort, 0);
  assert.equal(supervisor.written[0]?.[0]?.hostPort, 40_000);
  await assert.rejects(
    update(supervisor, { unpublish: [{ hostPort: 40_001, protocol: "tcp" }] }),
    InvalidConfigError,
  );
  await assert.rejects(
    update(supervisor, { unpublish: [{ hostPort: 40_000, protocol: "udp" }] }),
    InvalidConfigError,
  );
  // As it is written down, however it is written.
  await update(supervisor, { publish: [{ ...port, hostBind: "0::1", hostPort: 90 }] });
  await update(supervisor, { unpublish: [{ hostPort: 90, hostBind: "0:0::1" }] });
  supervisor.gateway.ports = [
    ...status.ports,
    { ...status.ports[0], hostBind: "::1" } as (typeof status.ports)[0],
  ];
  await assert.rejects(
    update(supervisor, { unpublish: [{ hostPort: 40_000, protocol: "tcp" }] }),
    /several ports/,
  );
  supervisor.gateway.ports = status.ports;
  await update(supervisor, { unpublish: [{ hostPort: 40_000, protocol: "tcp" }] }, true);
  assert.deepEqual(supervisor.kept[1]?.ports, []);
  assert.deepEqual(supervisor.written.at(-1), []);
});

test("what is kept is what was asked to be kept, whatever was changed for the moment before or after", async (t) => {
  const supervisor = await networkSupervisor(t);
  const deny: Rule = { ...rule, action: "deny" };
  const port = (hostPort: number): object => ({ hostPort, guestPort: 80 });
  await update(supervisor, { addRules: [rule], observe: true, publish: [port(8080)], maxConnections: 5 });
  const status = await update(supervisor, { addRules: [deny], publish: [port(9090)] }, true);
  const [kept] = supervisor.kept;
  assert.deepEqual(kept?.policy.rules, [deny]);
  assert.deepEqual([kept.observe, kept.maxConnections], [false, 256]);
  assert.deepEqual(
    kept.ports.map(({ hostPort }) => hostPort),
    [9090],
  );
  assert.deepEqual((JSON.parse(status.policy) as typeof networkConfig.policy).rules, [deny, rule]);
  assert.deepEqual([status.observe, status.maxConnections, status.ports.length], [true, 5, 2]);

  // The other way round: what is kept is in force, and stays when something for the moment replaces it.
  await update(supervisor, { policy: { ...networkConfig.policy, defaultEgress: "allow" } });
  await update(supervisor, { maxConnections: 7 }, true);
  assert.deepEqual(supervisor.kept[1], { ...kept, maxConnections: 7 });
  await update(supervisor, { unpublish: [{ hostPort: 8080 }] }, true);
  assert.deepEqual(supervisor.kept[2], supervisor.kept[1]);
});

test("a kept port that was taken back for the moment, and is published anew, is kept once", async (t) => {
  const supervisor = await networkSupervisor(t);
  const port = { hostPort: 8080, guestPort: 80 };
  await update(supervisor, { publish: [port] }, true);
  await update(supervisor, { unpublish: [{ hostPort: 8080 }] });
  await update(supervisor, { publish: [{ ...port, hostBind: "0.0.0.0", guestPort: 81 }] }, true);
  assert.deepEqual(
    supervisor.kept[1]?.ports.map(({ hostBind, guestPort }) => `${hostBind} ${guestPort}`),
    ["0.0.0.0 81"],
  );
});

test("what could not be kept is kept once when the same is asked for again", async (t) => {
  const supervisor = await networkSupervisor(t);
  const { kept } = supervisor as unknown as { kept: { push: unknown } };
  const { push } = kept;
  kept.push = () => {
    throw new Error("no space left on device");
  };
  await assert.rejects(update(supervisor, { addRules: [rule] }, true), IoError);
  kept.push = push;
  await update(supervisor, { addRules: [rule] }, true);
  assert.deepEqual(supervisor.kept[0]?.policy.rules, [rule]);
});

test("what is no change is refused by name, and nothing is asked of the gateway", async (t) => {
  const supervisor = await networkSupervisor(t);
  const policy = networkConfig.policy;
  for (const change of [
    { polizy: policy },
    { policy: { ...policy, rules: [{ ...rule, action: "alow" }] } },
    { policy: { ...policy, defaultEgress: 1 } },
    { policy, addRules: [rule] },
    { addRules: [{ ...rule, ports: [{ start: 1, end: 65_536 }] }] },
    { publish: [{ hostPort: 1, guestPort: 0 }] },
    { addRules: [{ ...rule, destination: { kind: "cidr", cidr: "10.0.0.0/33" } }] },
    { maxConnections: 5000 },
    { maxConnections: 0 },
    { maxConnections: 1.5 },
    { rateLimiter: { egress: {} } },
    null,
  ]) {
    await assert.rejects(update(supervisor, change as object), InvalidConfigError, JSON.stringify(change));
  }
  const broken = { type: "UpdateNetwork", change: "{", persist: false } as const;
  await assert.rejects(ask(supervisor, broken), InvalidConfigError);
  assert.deepEqual(supervisor.gateway.changes, []);
});

test("rules are refused that would make the policy too large to be told of, and the status goes on to be told", async (t) => {
  const supervisor = await networkSupervisor(t);
  // Some 1.8 MiB: there is room for them once.
  const addRules = new Array<Rule>(12_000).fill(rule);
  await update(supervisor, { addRules });
  await assert.rejects(update(supervisor, { addRules }), (error) => {
    assert.ok(error instanceof InvalidConfigError);
    assert.match(error.message, /^the network policy would have 24000 rules/);
    assert.match(error.hint, /range/);
    return true;
  });
  assert.equal(supervisor.gateway.changes.length, 1);
  const flow: OpenFlow = {
    ...{ flow: 2, openedMs: 5, direction: "egress", protocol: "tcp", address: "2001:db8::1" },
    ...{ port: 443, name: "x".repeat(253), rule: null },
  };
  supervisor.gateway.openFlows = new Array<OpenFlow>(1000).fill(flow);
  const largest = { ...rule, destination: { kind: "domain", domain: "a.example" } };
  let { policy } = await ask(supervisor, { type: "NetworkRequest", flows: true });
  const bytes = JSON.stringify(largest).length + 1;
  const room = Math.floor((3 * 1024 * 1024 - policy.length) / bytes);
  ({ policy } = await update(supervisor, { addRules: new Array(room).fill(largest) }));
  // All of it, with the flows, is in one message still.
  const status = await ask(supervisor, { type: "NetworkRequest", flows: true });
  assert.ok(policy.length > 3 * 1024 * 1024 - bytes, `${policy.length} bytes`);
  assert.equal(status.flows.length, 1000);
});

test("more connections than there may be are refused in the words of the builder", async (t) => {
  const supervisor = await networkSupervisor(t);
  await assert.rejects(update(supervisor, { maxConnections: 5000 }), {
    message: "max_connections 5000 exceeds hard limit 4096",
  });
});

test("a change that cannot be written down is in force, and whoever asked for it is told", async (t) => {
  const supervisor = await networkSupervisor(t);
  const full = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
  (supervisor.kept as unknown as { push: () => never }).push = () => {
    throw full;
  };
  await assert.rejects(update(supervisor, { observe: true }, true), IoError);
  assert.equal((await ask(supervisor, { type: "NetworkRequest", flows: false })).observe, true);
});

test("a guest has a bounded number of connections of clients, and room again for each that ends", async (t) => {
  const { network, gateway } = await networkSupervisor(t);
  const { PassThrough } = await import("node:stream");
  gateway.connect = () => Promise.resolve(new PassThrough());
  const { signal } = new AbortController();
  const first = await network.connect(80, signal);
  for (let n = 1; n < 1024; n++) await network.connect(80, signal);
  await assert.rejects(network.connect(80, signal), RuntimeError);
  first.destroy();
  await new Promise(setImmediate);
  await network.connect(80, signal);
  gateway.connect = () => Promise.reject(new RuntimeError("refused"));
  await assert.rejects(network.connect(80, signal), /are open already/);
});

test("data or an end before the guest has accepted costs a client its connection", async (t) => {
  const { connection, gateway } = await networkSupervisor(t);
  gateway.connect = () => new Promise(() => undefined);
  const { promise, resolve } = Promise.withResolvers<Error>();
  const stream = connection.subscribe(
    { type: "ConnectGuest", port: 80 },
    {
      message: (message) =>
        resolve(message.type === "Failure" ? decodeFailure(message) : new Error(message.type)),
      data: () => undefined,
      lost: resolve,
    },
  );
  stream.sendData(1, Buffer.from("early"));
  assert.ok((await promise) instanceof MicrosandboxError);
  assert.equal(connection.lost, true);
});

test("a live change of secrets does not bring into force what was left for the next start", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "msb-secrets-"));
  t.after(() => rm(directory, { recursive: true }));
  const key = secret({ envVar: "KEY", placeholder: "$MSB_KEY", source: { kind: "file", path: "/key" } });
  const config = withSecrets(networkConfig, [key]);
  assert.ok(config.tls !== null);
  const interception = await SandboxInterception.load(
    {
      ...{ home: locateHome({ MSB_HOME: directory }), tls: config.tls, secrets: [key] },
      secretsPath: join(directory, "secrets.json"),
      ask: () => Promise.reject(new Error("nobody is asked")),
      converse: () => assert.fail("nobody is spoken to"),
      warn: () => undefined,
      terminate: () => assert.fail("nothing is ended here"),
    },
    new AbortController().signal,
  );
  const { network, gateway } = await networkSupervisor(t, { config, interception });
  const change = async (before: SecretConfig[], after: SecretConfig[], live: boolean): Promise<void> => {
    const values = live ? { KEY: "rotated" } : { NEW: "of-new" };
    await network.modifySecrets(JSON.stringify({ expected: before, secrets: after, values }), live);
  };
  const later = [{ ...key, placeholder: "sk-new" }, secret({ envVar: "NEW", placeholder: "$MSB_NEW" })];
  await change([key], later, false);
  assert.equal(gateway.changes.length, 0);
  const stored = later.map((one) => ({ ...one, source: { kind: "stored" } as const }));
  await change(later, stored, true);
  const inForce = gateway.changes.at(-1)?.interception;
  assert.deepEqual(inForce?.secrets, [{ ...key, source: { kind: "stored" } }]);
  assert.equal(await inForce.values.value("KEY", "api.openai.com"), "rotated");
});
