import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttpServer, type IncomingMessage } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { Duplex } from "node:stream";
import { after, before, describe, it } from "node:test";
import { rule, type TestNetwork } from "../../../../test/support/network/guest-peer.ts";
import { askNames, GatewayNames } from "../../../../test/support/network/named-guest.ts";
import { secret } from "../../../../test/support/secret-sample.ts";
import { InterceptedBench } from "../../../../test/support/tls/intercepted-bench.ts";
import { guestSocket, guestTls } from "../../../../test/support/tls/intercepted-network.ts";
import type { SecretConfig } from "../../../config/network/interception/secret-type.ts";
import type { Interception } from "../../interception/interception.ts";

// Whom an address stands for is decided once, when a connection begins, and by nothing that the guest says.

let bench: InterceptedBench;
let names: GatewayNames;
before(async () => {
  bench = await InterceptedBench.make();
  names = await GatewayNames.start();
});
after(async () => {
  await names[Symbol.asyncDispose]();
  await bench[Symbol.asyncDispose]();
});

const withSecret = (over: Partial<SecretConfig> = {}): Partial<Interception> => ({
  secrets: [secret({ hosts: ["good.test"], ...over })],
  values: { value: () => "the-real-one", refused: () => undefined },
});

const echoKey = (request: IncomingMessage, response: { end(text: string): void }): void =>
  response.end(`<${String(request.headers["x-key"])}>`);

/** Asks on a connection that stays open. */
async function ask(client: Duplex, host = "good.test"): Promise<string> {
  client.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nX-Key: $KEY\r\n\r\n`);
  let said = "";
  while (!/<.*>/.test(said)) {
    const bytes = client.read() as Buffer | null;
    if (bytes === null) await Promise.race([once(client, "readable"), closing(client)]);
    else said += bytes.toString("latin1");
  }
  return /<.*>/.exec(said)?.[0] ?? "";
}

async function closing(client: Duplex): Promise<never> {
  await once(client, "close");
  throw new Error("the connection was broken off");
}

/** DNS takes back that the name stands for the address. */
async function forget(network: TestNetwork, name = "good.test"): Promise<void> {
  const { answers } = names;
  names.answers = () => [];
  await askNames(network, name);
  names.answers = answers;
}

describe("a connection that stays open", () => {
  const soon = (name: string): ReturnType<GatewayNames["answers"]> => [
    { type: "A", name, ttl: 0, data: "172.16.0.1" },
  ];
  const usual = (name: string): ReturnType<GatewayNames["answers"]> => [
    { type: "A", name, ttl: 300, data: "172.16.0.1" },
  ];
  before(() => (names.answers = soon));
  after(() => (names.answers = usual));

  it("keeps its secret when DNS takes the name back, by TLS", async () => {
    const port = await bench.listen(createHttpsServer({ ...bench.good }, echoKey));
    await using network = await bench.intercepting([port], {}, withSecret(), names.config);
    await askNames(network, "good.test");
    const client = guestTls(network.guest, port, { servername: "good.test", ca: bench.authority.pem });
    assert.equal(await ask(client), "<the-real-one>");
    await forget(network);
    assert.equal(await ask(client), "<the-real-one>");
    const fresh = guestTls(network.guest, port, { servername: "good.test", ca: bench.authority.pem });
    fresh.on("error", () => undefined);
    await assert.rejects(ask(fresh));
    assert.equal((await network.event("secret-violation")).envVar, "KEY");
    client.destroy();
  });

  it("and without", async () => {
    const port = await bench.listen(createHttpServer(echoKey));
    const settings = withSecret({ requireTlsIdentity: false });
    await using network = await bench.intercepting([443], {}, settings, names.config);
    await askNames(network, "good.test");
    const client = guestSocket(network.guest, port);
    assert.equal(await ask(client), "<the-real-one>");
    await forget(network);
    assert.equal(await ask(client), "<the-real-one>");
    client.destroy();
  });

  it("may go on with requests for its name where names have to be proved", async () => {
    const port = await bench.listen(createHttpServer(echoKey));
    const rules = [
      rule({ destination: { kind: "group", group: "host" }, ports: [{ start: 53, end: 53 }] }),
      rule({ destination: { kind: "domain", domain: "good.test" } }),
    ];
    const policy = { defaultEgress: "deny", defaultIngress: "allow", rules } as const;
    await using network = await bench.intercepting([443], {}, {}, { ...names.config, strict: true, policy });
    await askNames(network, "good.test");
    const client = guestSocket(network.guest, port);
    assert.equal(await ask(client), "<$KEY>");
    await forget(network);
    assert.equal(await ask(client), "<$KEY>");
    client.on("error", () => undefined);
    await assert.rejects(ask(client, "evil.test"));
  });
});

describe("a tunnel to a proxy of the guest's own choice", () => {
  async function tunnel(network: TestNetwork, proxy: number, target: string): Promise<Duplex> {
    const client = guestSocket(network.guest, proxy);
    client.on("error", () => undefined);
    client.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
    await once(client, "readable");
    assert.match(String(client.read()), /^HTTP\/1.1 200/);
    return client;
  }

  it("gets no value without TLS, whatever it was asked for", async () => {
    const heard: string[] = [];
    const server = createHttpServer((request, response) => {
      heard.push(JSON.stringify(request.headers));
      response.end("<>");
    });
    const proxy = await bench.proxy(await bench.listen(server), []);
    const settings = withSecret({ requireTlsIdentity: false });
    for (const target of ["good.test:80", "10.1.1.1:80"]) {
      await using network = await bench.intercepting([443], {}, settings, names.config);
      names.answers = (name) => [{ type: "A", name, ttl: 300, data: "10.1.1.1" }];
      await askNames(network, "good.test");
      await assert.rejects(ask(await tunnel(network, proxy, target)));
      assert.equal((await network.event("secret-violation")).envVar, "KEY");
    }
    assert.deepEqual(heard, []);
  });

  it("gets none with TLS that proves nothing", async () => {
    const heard: string[] = [];
    const fake = await bench.root.selfSigned("good.test");
    const server = createHttpsServer({ ...fake }, (request, response) => {
      heard.push(JSON.stringify(request.headers));
      response.end("<>");
    });
    const proxy = await bench.proxy(await bench.listen(server), []);
    const settings = withSecret({ requireTlsIdentity: false });
    await using network = await bench.intercepting([443], { verifyUpstream: false }, settings);
    const socket = await tunnel(network, proxy, "good.test:443");
    const client = guestTls(network.guest, 0, { socket, servername: "good.test", ca: bench.authority.pem });
    client.on("error", () => undefined);
    await assert.rejects(ask(client));
    assert.equal((await network.event("secret-violation")).envVar, "KEY");
    assert.deepEqual(heard, []);
  });

  it("is read for an excepted name at an address that DNS has not told for it", async () => {
    const proxy = await bench.proxy(await bench.echo(), []);
    await using network = await bench.intercepting([443], { bypass: ["good.test"] });
    const socket = await tunnel(network, proxy, "10.9.9.9:443");
    const client = guestTls(network.guest, 0, { socket, servername: "good.test", ca: bench.authority.pem });
    await once(client, "secureConnect");
    assert.equal(client.getPeerCertificate().issuer.CN, "microsandbox CA");
    client.destroy();
  });
});

describe("a server that nobody asks for a proof", () => {
  for (const status of ["good", "revoked"] as const)
    it(`gets ${status === "good" ? "the value when it proves its name" : "none when it says itself that its certificate was revoked"}`, async () => {
      const response = await bench.root.status(bench.good, status);
      const server = createHttpsServer({ ...bench.good }, echoKey);
      server.on("OCSPRequest", (_certificate, _issuer, answer: (error: null, said: Buffer) => void) =>
        answer(null, response),
      );
      const port = await bench.listen(server);
      await using network = await bench.intercepting(
        [port],
        { verifyUpstream: false },
        withSecret(),
        names.config,
      );
      names.answers = (name) => [{ type: "A", name, ttl: 300, data: "172.16.0.1" }];
      await askNames(network, "good.test");
      const client = guestTls(network.guest, port, { servername: "good.test", ca: bench.authority.pem });
      assert.equal(await ask(client), status === "good" ? "<the-real-one>" : "<$KEY>");
      client.destroy();
    });
});
