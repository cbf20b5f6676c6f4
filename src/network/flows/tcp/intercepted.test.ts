import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { askNames, GatewayNames } from "../../../../test/support/network/named-guest.ts";
import {
  extension,
  helloMessage,
  inRecords,
  nameEntry,
} from "../../../../test/support/client-hello-builder.ts";
import { InterceptedBench } from "../../../../test/support/tls/intercepted-bench.ts";
import { guestSocket, guestTls } from "../../../../test/support/tls/intercepted-network.ts";

let bench: InterceptedBench;
before(async () => {
  bench = await InterceptedBench.make();
});
after(() => bench[Symbol.asyncDispose]());

describe("TLS that is intercepted", () => {
  it("passes between a client that trusts the sandbox's authority and a server that the host trusts", async () => {
    const seen: TLSSocket[] = [];
    const port = await bench.echo({}, (socket) => seen.push(socket));
    await using network = await bench.intercepting([port]);
    const client = guestTls(network.guest, port, { servername: "good.test", ca: bench.authority.pem });
    await once(client, "secureConnect");
    assert.equal(client.getPeerCertificate().issuer.CN, "microsandbox CA");
    client.end("hello");
    const said: Buffer[] = [];
    for await (const part of client) said.push(part as Buffer);
    assert.equal(Buffer.concat(said).toString(), "hello");
    assert.equal(seen[0]?.servername, "good.test");
    const closed = await network.event("flow-closed");
    assert.deepEqual([closed.reason, closed.name, closed.port], ["closed", "good.test", port]);
    assert.ok(closed.bytesSent > 200 && closed.bytesReceived > 400, JSON.stringify(closed));
    assert.equal(network.gateway.counters.activeFlows, 0);
    assert.deepEqual(network.warnings, []);
  });

  it("brings every byte in both directions", async () => {
    const port = await bench.echo();
    await using network = await bench.intercepting([port]);
    const client = guestTls(network.guest, port, { servername: "good.test", ca: bench.authority.pem });
    const blob = Buffer.alloc(8 << 20, "\x000123456789abcdef!");
    client.end(blob);
    const said: Buffer[] = [];
    for await (const part of client) said.push(part as Buffer);
    assert.ok(Buffer.concat(said).equals(blob));
  });

  it("resumes sessions with the server, and with the guest", async () => {
    for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
      const seen: boolean[] = [];
      const port = await bench.echo({ minVersion: version, maxVersion: version }, (socket) =>
        seen.push(socket.isSessionReused()),
      );
      await using network = await bench.intercepting([port]);
      let session: Buffer | undefined;
      const reused: boolean[] = [];
      for (let round = 0; round < 2; round++) {
        const client = guestTls(network.guest, port, {
          servername: "good.test",
          ca: bench.authority.pem,
          ...(session === undefined ? {} : { session }),
        });
        client.on("session", (fresh: Buffer) => {
          session = fresh;
        });
        client.once("secureConnect", () => reused.push(client.isSessionReused()));
        client.end("\0hello");
        assert.equal(await text(client), "\0hello");
      }
      assert.deepEqual([version, ...seen, ...reused], [version, false, true, false, true]);
    }
  });

  it("is passed on as it is for names that are excepted, with the server's own certificate", async () => {
    const port = await bench.echo();
    await using names = await GatewayNames.start();
    await using network = await bench.intercepting([port], { bypass: ["*.test"] }, {}, names.config);
    await askNames(network, "another.test");
    const client = guestTls(network.guest, port, { servername: "good.test", ca: bench.hostRoot });
    await once(client, "secureConnect");
    assert.equal(client.getPeerCertificate().issuer.CN, "test-root");
    client.destroy();
  });

  it("is read for such a name all the same at an address that DNS has not told for it", async () => {
    const port = await bench.echo();
    await using names = await GatewayNames.start();
    await using network = await bench.intercepting([port], { bypass: ["good.test"] }, {}, names.config);
    await askNames(network, "another.test");
    const client = guestTls(network.guest, port, { servername: "good.test", ca: bench.authority.pem });
    await once(client, "secureConnect");
    assert.equal(client.getPeerCertificate().issuer.CN, "microsandbox CA");
    client.destroy();
  });
});

describe("a server that the host does not trust", () => {
  const bad: Record<string, () => Promise<[server: number, reason: RegExp, client: RegExp, name?: string]>> =
    {
      "whose certificate is over": async () => [
        await bench.echo(await bench.root.certificate("good.test", { days: -1 })),
        /^CERT_HAS_EXPIRED$/,
        /ALERT_CERTIFICATE_EXPIRED/,
      ],
      "that has signed its certificate itself": async () => [
        await bench.echo(await bench.root.selfSigned("good.test")),
        /^DEPTH_ZERO_SELF_SIGNED_CERT$/,
        /UNKNOWN_CA/,
      ],
      "of another name": async () => [
        await bench.echo(await bench.root.certificate("other.test")),
        /^ERR_TLS_CERT_ALTNAME_INVALID$/,
        /ALERT_BAD_CERTIFICATE/,
      ],
      "that leaves out who has signed": async () => [
        await bench.echo(await bench.root.indirect("good.test", false)),
        /^UNABLE_TO_VERIFY_LEAF_SIGNATURE$/,
        /UNKNOWN_CA/,
      ],
      "whose certificate is signed by SHA-1": async () => [
        await bench.echo(await bench.root.certificate("good.test", { digest: "sha1" })),
        /too weak/,
        /ALERT_BAD_CERTIFICATE/,
      ],
      "that is not there": async () => {
        const server = createServer();
        const port = await bench.listen(server);
        server.close();
        await once(server, "close");
        return [port, /^refused$/, /ALERT_INTERNAL_ERROR/];
      },
      "that speaks no TLS": async () => [
        await bench.listen(
          createServer((socket) => socket.on("error", () => undefined).end("220 hello\r\n")),
        ),
        /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/,
        /ALERT_PROTOCOL_VERSION|ALERT_HANDSHAKE_FAILURE/,
      ],
      "that breaks off": async () => [
        await bench.listen(
          createServer((socket) =>
            socket.on("error", () => undefined).once("data", () => socket.resetAndDestroy()),
          ),
        ),
        /^ECONNRESET$/,
        /ALERT_INTERNAL_ERROR/,
      ],
      "that ends": async () => [
        await bench.listen(
          createServer((socket) => socket.on("error", () => undefined).once("data", () => socket.end())),
        ),
        /^ECONNRESET$/,
        /ALERT_INTERNAL_ERROR/,
      ],
      "that asks for a certificate": async () => [
        await bench.echo({ requestCert: true, rejectUnauthorized: true, maxVersion: "TLSv1.2" }),
        /ALERT_HANDSHAKE_FAILURE/,
        /ALERT_HANDSHAKE_FAILURE/,
      ],
      "that has no such name": async () => [
        await bench.echo({ SNICallback: (_, done) => done(new Error("none")) }),
        /./,
        /ALERT/,
      ],
    };
  for (const [what, make] of Object.entries(bad))
    it(`${what} is an error for the guest, and an event for the host`, async () => {
      const [port, reason, client] = await make();
      await using network = await bench.intercepting([port]);
      assert.match((await bench.trusts(network, port)) ?? "trusted", client);
      const failed = await network.event("tls-failed");
      assert.match(failed.reason, reason);
      assert.deepEqual(
        [failed.side, failed.name, failed.port, failed.address],
        ["server", "good.test", port, "172.16.0.1"],
      );
      assert.equal((await network.event("flow-closed")).reason, "refused");
      assert.deepEqual(network.warnings, []);
    });

  it("that brings along who has signed is trusted", async () => {
    const port = await bench.echo(await bench.root.indirect("good.test", true));
    await using network = await bench.intercepting([port]);
    assert.equal(await bench.trusts(network, port), null);
  });

  for (const version of ["TLSv1.2", "TLSv1.3"] as const)
    it(`that says itself, by ${version}, that its certificate was revoked is an error for the guest`, async () => {
      let said = await bench.root.status(bench.good, "good");
      const server = createTlsServer({ ...bench.good, minVersion: version, maxVersion: version });
      server.on("OCSPRequest", (_certificate, _issuer, answer: (error: null, response: Buffer) => void) =>
        answer(null, said),
      );
      server.on("tlsClientError", () => undefined);
      server.on("secureConnection", (socket) => socket.on("error", () => undefined));
      const port = await bench.listen(server);
      await using network = await bench.intercepting([port]);
      assert.equal(await bench.trusts(network, port), null);
      said = await bench.root.status(bench.good, "revoked");
      await using other = await bench.intercepting([port]);
      assert.match((await bench.trusts(other, port)) ?? "trusted", /CERTIFICATE_REVOKED/);
      assert.equal((await other.event("tls-failed")).reason, "CERT_REVOKED");
      said = Buffer.from("3082ffff30", "hex");
      await using garbled = await bench.intercepting([port]);
      assert.equal(await bench.trusts(garbled, port), null);
    });

  it("need not be trusted where that is said", async () => {
    const port = await bench.echo(await bench.root.selfSigned("good.test"));
    await using network = await bench.intercepting([port], { verifyUpstream: false });
    assert.equal(await bench.trusts(network, port), null);
    await using scoped = await bench.intercepting([port], {
      scopedVerifyUpstream: [{ pattern: "good.test", verify: false }],
    });
    assert.equal(await bench.trusts(scoped, port), null);
    await using other = await bench.intercepting([port], {
      scopedVerifyUpstream: [{ pattern: "other.test", verify: false }],
    });
    assert.match((await bench.trusts(other, port)) ?? "", /UNKNOWN_CA/);
  });
});

describe("what is no TLS with a name, on an intercepted port", () => {
  it("is closed", async () => {
    let connections = 0;
    const port = await bench.listen(createServer(() => connections++));
    await using network = await bench.intercepting([port]);
    const text = guestSocket(network.guest, port);
    text.write("GET / HTTP/1.1\r\n\r\n");
    await assert.rejects(once(text, "close"), { code: "ECONNRESET" });
    assert.equal((await network.event("tls-failed")).reason, "no TLS");
    const nameless = guestTls(network.guest, port, { ca: bench.authority.pem });
    const [error] = (await once(nameless, "error")) as [NodeJS.ErrnoException];
    assert.match(error.code ?? "", /UNRECOGNIZED_NAME/);
    const failed = await network.event("tls-failed", ({ reason }) => reason === "no server name");
    assert.deepEqual([failed.name, failed.side], [null, "guest"]);
    assert.equal(connections, 0);
    assert.equal(network.gateway.counters.flowsOpened, 0);
  });
});

describe("a guest that says an Encrypted Client Hello and gives up", () => {
  it("is told as one that has", async () => {
    const port = await bench.echo();
    await using network = await bench.intercepting([port]);
    const client = guestSocket(network.guest, port);
    client.on("error", () => undefined);
    const inner = extension(0xfe0d, Buffer.alloc(186, 9));
    client.write(inRecords(helloMessage({ names: nameEntry("good.test"), after: [inner] })));
    await once(client, "readable");
    client.destroy();
    const failed = await network.event("tls-failed");
    assert.deepEqual([failed.side, failed.name], ["guest", "good.test"]);
    assert.match(failed.reason, /with an Encrypted Client Hello/);
  });
});
