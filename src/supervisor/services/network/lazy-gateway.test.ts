import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import { addresses, networkConfig } from "../../../../test/support/network/guest-peer.ts";
import type { NetworkConfig } from "../../../config/network/network-type.ts";
import { InvalidConfigError } from "../../../errors/index.ts";
import { PublishedPorts } from "../../../network/flows/ports/published-ports.ts";
import { openGateway } from "../../../network/gateway.ts";
import { LazyGateway, type LazyGatewayOptions } from "./lazy-gateway.ts";

async function options(
  warnings: string[],
  over: Partial<NetworkConfig> = {},
): Promise<LazyGatewayOptions & { readonly fromGuest: () => void }> {
  const [link, far] = duplexPair();
  const config = networkConfig(over);
  const ports = await PublishedPorts.bind(config.ports, () => undefined);
  return {
    ...{ link, addresses, config, ports, agentProgram: null, event: () => undefined },
    interception: null,
    warn: (message) => warnings.push(message),
    fromGuest: () => void far.write("frame"),
  };
}

/** Everything that was begun before has failed, or has not. */
async function settled(): Promise<void> {
  await import("../../../network/gateway.ts");
  await new Promise(setImmediate);
  await new Promise(setImmediate);
}

const port = {
  hostBind: "127.0.0.1",
  hostPort: 0,
  guestPort: 80,
  protocol: "tcp",
  proxyProtocol: false,
} as const;

test("one that is closed before it has begun begins no more, and warns of nothing", async () => {
  const warnings: string[] = [];
  const gateway = new LazyGateway(await options(warnings, { ports: [port] }));
  await gateway[Symbol.asyncDispose]();
  await settled();
  assert.deepEqual(warnings, []);
});

test("one that is closed while it is loaded warns of nothing, and leaves its cable", async () => {
  const warnings: string[] = [];
  const given = await options(warnings);
  const gateway = new LazyGateway(given);
  const closed = new Promise<void>((resolve) => {
    given.link.once("readable", () => resolve(gateway[Symbol.asyncDispose]()));
  });
  given.fromGuest();
  await closed;
  await settled();
  assert.deepEqual(warnings, []);
  assert.ok(given.link.destroyed);
});

test("one that cannot be opened has not touched its cable, says why, and destroys the cable when it is closed", async () => {
  const warnings: string[] = [];
  const proxy = {
    kind: "socks5",
    address: "127.0.0.1:1",
    username: "me",
    passwordEnv: "MSB_NOT_THERE",
  } as const;
  const given = await options(warnings, { proxy });
  const listeners = given.link.eventNames();
  await assert.rejects(openGateway({ ...given, interception: null }), InvalidConfigError);
  assert.deepEqual(given.link.eventNames(), listeners);
  const gateway = new LazyGateway(given);
  given.fromGuest();
  await assert.rejects(gateway.update({}), InvalidConfigError);
  await settled();
  assert.match(warnings[0] ?? "", /MSB_NOT_THERE/);
  await gateway[Symbol.asyncDispose]();
  assert.ok(given.link.destroyed);
});
