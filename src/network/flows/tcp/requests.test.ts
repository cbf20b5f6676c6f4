import assert from "node:assert/strict";
import { once } from "node:events";
import {
  connect as connectHttp2,
  createSecureServer,
  createServer as createPlainHttp2,
  performServerHandshake,
  type ClientHttp2Session,
} from "node:http2";
import { createServer as createHttpServer, request as httpRequest, type IncomingMessage } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { buffer, text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { createServer as createTlsServer, type SecureVersion } from "node:tls";
import { rule, type TestNetwork } from "../../../../test/support/network/guest-peer.ts";
import { askNames as ask, GatewayNames } from "../../../../test/support/network/named-guest.ts";
import { InterceptedBench } from "../../../../test/support/tls/intercepted-bench.ts";
import { guestSocket, guestTls } from "../../../../test/support/tls/intercepted-network.ts";
import { startOf } from "../../http/start.ts";
import type { SecretConfig } from "../../../config/network/interception/secret-type.ts";
import type { Interception } from "../../interception/interception.ts";

const placeholder = "$MSB_KEY";
const value = "the-real-one";

const secret: SecretConfig = {
  envVar: "KEY",
  placeholder,
  hosts: ["good.test"],
  source: { kind: "stored" },
  injection: { headers: true, basicAuth: true, queryParams: false, body: false },
  requireTlsIdentity: true,
  onViolation: null,
  scrubResponses: false,
};

const withSecret = (over: Partial<SecretConfig> = {}): Partial<Interception> => ({
  secrets: [{ ...secret, ...over }],
  values: { value: () => value, refused: () => undefined },
});

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

/** A server of both versions of HTTP that says what it was asked. */
async function server(
  versions: { minVersion?: SecureVersion; maxVersion?: SecureVersion } = {},
): Promise<number> {
  const http = createSecureServer({ ...bench.good, allowHTTP1: true, ...versions }, (request, response) => {
    const said = `${request.httpVersion} ${String(request.headers["x-key"])}`;
    response.end(said);
  });
  return await bench.listen(http);
}

async function ask1(
  network: TestNetwork,
  port: number,
  options: object = {},
  key = placeholder,
): Promise<string> {
  const socket = guestTls(network.guest, port, {
    servername: "good.test",
    ca: bench.authority.pem,
    ...options,
  });
  const request = httpRequest({
    createConnection: () => socket,
    path: "/",
    headers: { host: "good.test", "x-key": key, connection: "close" },
  });
  request.end();
  const [response] = (await once(request, "response")) as [IncomingMessage];
  return await text(response);
}

async function ask2(network: TestNetwork, port: number, options: object = {}): Promise<string> {
  const socket = guestTls(network.guest, port, {
    servername: "good.test",
    ca: bench.authority.pem,
    ALPNProtocols: ["h2"],
    ...options,
  });
  const session: ClientHttp2Session = connectHttp2("https://good.test", { createConnection: () => socket });
  const stream = session.request({ ":path": "/", "x-key": placeholder });
  stream.end();
  const said = await text(stream);
  session.destroy();
  return said;
}

describe("requests on TLS that is intercepted", () => {
  it("have the value of a secret in the place of its placeholder, by either version of HTTP", async () => {
    const port = await server();
    await using network = await bench.intercepting([port], {}, withSecret(), names.config);
    await ask(network, "good.test");
    assert.equal(await ask1(network, port), `1.1 ${value}`);
    assert.equal(await ask1(network, port, { ALPNProtocols: ["http/1.1"] }), `1.1 ${value}`);
    assert.equal(await ask2(network, port), `2.0 ${value}`);
    assert.deepEqual(network.warnings, []);
    const seen = await network.event("http", ({ version }) => version === "2");
    assert.deepEqual([seen.host, seen.outcome, seen.secrets], ["good.test", "forwarded", ["KEY"]]);
  });

  it("may be of HTTP/2 without a word about it before", async () => {
    const tls = createTlsServer({ ...bench.good, allowHalfOpen: true }, (socket) => {
      socket.on("error", () => undefined);
      // What a client says by then is lost to a session.
      socket.once("readable", () => {
        const session = performServerHandshake(socket);
        session.on("stream", (stream, headers) => {
          stream.respond();
          stream.end(String(headers["x-key"]));
        });
      });
    });
    const port = await bench.listen(tls);
    await using network = await bench.intercepting([port], {}, withSecret(), names.config);
    await ask(network, "good.test");
    assert.equal(await ask2(network, port, { ALPNProtocols: undefined }), value);
    assert.equal((await network.event("http")).version, "2");
  });

  it("may be of HTTP/2 without TLS, whose server says its settings before anybody asks", async () => {
    const http = createPlainHttp2((request, response) => {
      const fields = [request.headers["x-key"], request.headers[":scheme"], request.headers[":authority"]];
      response.end(fields.join(" "));
    });
    const port = await bench.listen(http);
    for (const requireTlsIdentity of [false, true]) {
      const rules = withSecret({ requireTlsIdentity });
      await using network = await bench.intercepting([443], {}, rules, names.config);
      await ask(network, "good.test");
      const socket = guestSocket(network.guest, port);
      // By then it has said them.
      await network.event("flow-opened");
      const session = connectHttp2("http://good.test:8080", { createConnection: () => socket });
      const stream = session.request({ ":path": "/", "x-key": placeholder });
      stream.end();
      assert.equal(await text(stream), `${requireTlsIdentity ? placeholder : value} http good.test:8080`);
      session.destroy();
      assert.equal((await network.event("http")).version, "2");
    }
  });

  it("get no value where DNS has not told that the address is that of the name", async () => {
    const port = await server();
    await using network = await bench.intercepting([port], {}, withSecret(), names.config);
    await assert.rejects(ask1(network, port), /hang up|reset/i);
    const violation = await network.event("secret-violation");
    assert.deepEqual([violation.envVar, violation.serverName], ["KEY", "good.test"]);
  });

  it("get none in a tunnel to another name, and do in one to theirs, whatever DNS has told", async () => {
    const port = await server();
    const proxy = await bench.proxy(port, []);
    await using network = await bench.intercepting([port], {}, withSecret());
    const client = guestSocket(network.guest, proxy);
    client.write(`CONNECT good.test:${port} HTTP/1.1\r\nHost: good.test\r\n\r\n`);
    await once(client, "readable");
    assert.match(String(client.read()), /^HTTP\/1.1 200/);
    assert.equal(await ask1(network, port, { socket: client }), `1.1 ${value}`);
  });

  it("for a host that is not the name of the connection are not passed on", async () => {
    const heads: string[] = [];
    const port = await bench.listen(
      createHttpsServer({ ...bench.good }, (request, response) => {
        heads.push(request.headers.host ?? "");
        response.end();
      }),
    );
    await using network = await bench.intercepting([port]);
    const socket = guestTls(network.guest, port, { servername: "good.test", ca: bench.authority.pem });
    socket.on("error", () => undefined);
    socket.write("GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n");
    socket.resume();
    await new Promise((resolve) => socket.once("close", resolve));
    assert.equal((await network.event("http")).outcome, "malformed");
    assert.deepEqual(heads, []);
  });
});

describe("what client and server agree to speak", () => {
  const offers: [offered: string[], server: string[] | null, taken: string | false][] = [
    [["h2", "http/1.1"], ["h2", "http/1.1"], "h2"],
    [["h2", "http/1.1"], ["http/1.1"], "http/1.1"],
    [["h2", "http/1.1"], null, false],
    [["http/1.1"], ["h2", "http/1.1"], "http/1.1"],
    [["h3", "h2", "foo"], ["foo", "h2"], "h2"],
    [[], ["h2", "http/1.1"], false],
    [["foo"], null, false],
  ];
  it("is what the server has chosen, of what the guest offers and we can read", async () => {
    for (const [offered, chosen, taken] of offers) {
      const seen: (string | false | null)[] = [];
      const port = await bench.echo(chosen === null ? {} : { ALPNProtocols: chosen }, (socket) =>
        seen.push(socket.alpnProtocol),
      );
      await using network = await bench.intercepting([port]);
      const client = guestTls(network.guest, port, {
        servername: "good.test",
        ca: bench.authority.pem,
        ...(offered.length === 0 ? {} : { ALPNProtocols: offered }),
      });
      await once(client, "secureConnect");
      assert.equal(client.alpnProtocol, taken, JSON.stringify(offered));
      client.destroy();
    }
  });

  it("is an alert when they agree on nothing", async () => {
    const port = await bench.echo({ ALPNProtocols: ["foo"] });
    await using network = await bench.intercepting([port]);
    const client = guestTls(network.guest, port, {
      servername: "good.test",
      ca: bench.authority.pem,
      ALPNProtocols: ["h2"],
    });
    const [error] = (await once(client, "error")) as [NodeJS.ErrnoException];
    assert.match(error.code ?? "", /NO_APPLICATION_PROTOCOL/);
    assert.equal((await network.event("tls-failed")).side, "server");
  });

  for (const guest of ["TLSv1.2", "TLSv1.3"] as const)
    for (const upstream of ["TLSv1.2", "TLSv1.3"] as const)
      it(`may be ${guest} on the one side and ${upstream} on the other`, async () => {
        const port = await server({ minVersion: upstream, maxVersion: upstream });
        await using network = await bench.intercepting([port]);
        const options = { minVersion: guest, maxVersion: guest };
        assert.equal(await ask1(network, port, options, "x"), "1.1 x");
        assert.equal(await ask2(network, port, options), `2.0 ${placeholder}`);
      });

  it("is not less than TLS 1.2 on either side", async () => {
    const ciphers = "DEFAULT@SECLEVEL=0";
    const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers } as const;
    const port = await bench.echo(old);
    await using network = await bench.intercepting([port]);
    assert.match((await bench.trusts(network, port)) ?? "trusted", /PROTOCOL_VERSION/);
    assert.equal((await network.event("tls-failed")).side, "server");
    const good = await bench.echo();
    await using other = await bench.intercepting([good]);
    const client = guestTls(other.guest, good, { servername: "good.test", ca: bench.authority.pem, ...old });
    const [error] = (await once(client, "error")) as [NodeJS.ErrnoException];
    assert.match(error.code ?? "", /PROTOCOL_VERSION/);
    assert.equal((await other.event("tls-failed")).side, "guest");
  });
});

describe("a server that wants a certificate of its client", () => {
  const wants = { requestCert: true, rejectUnauthorized: true } as const;

  it("gets none when it is read, which is told, and the guest's own when it is excepted", async () => {
    const own = await bench.root.certificate("client.test");
    const seen: unknown[] = [];
    const port = await bench.echo({ ...wants, ca: bench.hostRoot }, (socket) =>
      seen.push(socket.getPeerCertificate().subject.CN),
    );
    await using network = await bench.intercepting([port]);
    const client = guestTls(network.guest, port, {
      servername: "good.test",
      ca: bench.authority.pem,
      ...own,
    });
    client.on("error", () => undefined);
    await new Promise((resolve) => client.resume().once("close", resolve));
    const failed = await network.event("tls-failed");
    assert.deepEqual([failed.side, failed.name], ["server", "good.test"]);
    assert.match(failed.reason, /CERTIFICATE_REQUIRED/);
    await using excepted = await bench.intercepting([port], { bypass: ["good.test"] }, {}, names.config);
    await ask(excepted, "good.test");
    const known = guestTls(excepted.guest, port, { servername: "good.test", ca: bench.hostRoot, ...own });
    known.end("hello");
    assert.equal(await text(known), "hello");
    assert.deepEqual(seen, ["client.test"]);
  });
});

describe("what the guest thinks of our certificate", () => {
  it("is told as the guest's refusal when it does not trust it", async () => {
    const port = await bench.echo();
    await using network = await bench.intercepting([port]);
    const client = guestTls(network.guest, port, { servername: "good.test", ca: bench.hostRoot });
    await once(client, "error");
    const failed = await network.event("tls-failed");
    assert.deepEqual([failed.side, failed.name], ["guest", "good.test"]);
    assert.equal((await network.event("flow-closed")).reason, "refused");
  });

  it("never comes into it for a name that no server can have", async () => {
    const port = await bench.echo();
    await using network = await bench.intercepting([port]);
    for (const name of ["192.0.2.1", "0x7f.1", "a.b.127"]) {
      assert.match((await bench.trusts(network, port, name)) ?? "trusted", /UNRECOGNIZED_NAME/, name);
      assert.equal((await network.event("tls-failed", (event) => event.name === name)).side, "guest");
    }
    assert.equal(await bench.trusts(network, port), null);
  });
});

describe("a network that wants names proved", () => {
  const strict = {
    strict: true,
    policy: {
      defaultEgress: "deny",
      defaultIngress: "allow",
      rules: [
        rule({
          destination: { kind: "group", group: "host" },
          protocols: ["tcp", "udp"],
          ports: [{ start: 53, end: 53 }],
        }),
        rule({ destination: { kind: "domain", domain: "good.test" } }),
      ],
    },
  } as const;

  it("lets TLS that is read through, and no other", async () => {
    const [read, other] = [await server(), await server()];
    await using network = await bench.intercepting([read], {}, {}, { ...names.config, ...strict });
    await ask(network, "good.test");
    assert.equal(await ask1(network, read, {}, "x"), "1.1 x");
    await assert.rejects(ask1(network, other, { ca: bench.hostRoot }), /hang up|reset/i);
    assert.equal((await network.event("flow-denied", ({ port }) => port === other)).reason, "policy");
  });

  it("lets requests without TLS through that are for that name", async () => {
    const heads: string[] = [];
    const port = await bench.listen(
      createHttpServer((request, response) => {
        heads.push(request.headers.host ?? "");
        response.end("seen");
      }),
    );
    await using network = await bench.intercepting([443], {}, {}, { ...names.config, ...strict });
    await ask(network, "good.test", "evil.test");
    const say = async (words: string): Promise<string> => {
      const client = guestSocket(network.guest, port);
      client.write(words);
      return (await buffer(client)).toString().split("\r\n")[0] ?? "";
    };
    assert.equal(
      await say("GET / HTTP/1.1\r\nHost: good.test\r\nConnection: close\r\n\r\n"),
      "HTTP/1.1 200 OK",
    );
    for (const words of [
      "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n",
      "hello, no request\n",
      "CONNECT a:1 HTTP/1.1\r\n\r\n",
    ])
      await assert.rejects(say(words), { code: "ECONNRESET" }, words);
    assert.deepEqual(heads, ["good.test"]);
  });
});

describe("how a connection begins", () => {
  for (const [bytes, start] of [
    ["", null],
    ["C", null],
    ["CONNECT", null],
    ["CONNECT ", "connect"],
    ["CONNECT example.com:443", "connect"],
    ["connect ", "other"],
    ["CLIENT", "other"],
    ["GET / HTTP/1.1", "other"],
    ["\x16", null],
    ["\x16\x03\x01", "tls"],
    ["\x16\x04", "other"],
    ["\r\n", "other"],
  ] as const)
    it(`${JSON.stringify(bytes)} is ${start ?? "not known yet"}`, () =>
      assert.equal(startOf(Buffer.from(bytes, "latin1")), start));
});
