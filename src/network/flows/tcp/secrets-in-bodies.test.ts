import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { createServer, type TLSSocket } from "node:tls";
import { places, secret } from "../../../../test/support/secret-sample.ts";
import {
  guestAuthority,
  guestTls,
  interceptedNetwork,
} from "../../../../test/support/tls/intercepted-network.ts";
import { TestAuthority } from "../../../../test/support/tls/test-authority.ts";

test("A host whose secret is put into bodies is spoken to in HTTP/1, unless the guest speaks nothing but HTTP/2", async () => {
  const authority = guestAuthority();
  await using root = await TestAuthority.make();
  const certificate = await root.certificate("good.test");
  const server = createServer({ ...certificate, ALPNProtocols: ["h2", "http/1.1"] });
  const sockets: TLSSocket[] = [];
  server.on("secureConnection", (socket) => sockets.push(socket.on("error", () => undefined)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const hosts = ["good.test"];
  for (const [config, offered, chosen] of [
    [secret({ hosts, ...places({ body: true }) }), ["h2", "http/1.1"], "http/1.1"],
    [secret({ hosts, ...places({ body: true }) }), ["h2"], "h2"],
    [secret({ hosts: ["other.test"], ...places({ body: true }) }), ["h2", "http/1.1"], "h2"],
    [secret({ hosts }), ["h2", "http/1.1"], "h2"],
  ] as const) {
    await using network = await interceptedNetwork({
      authority,
      hostRoot: await root.pem,
      tls: { interceptedPorts: [port] },
      over: { secrets: [config] },
    });
    const options = { servername: "good.test", ca: authority.pem, ALPNProtocols: [...offered] };
    const client = guestTls(network.guest, port, options);
    client.on("error", () => undefined);
    await once(client, "secureConnect");
    assert.equal(client.alpnProtocol, chosen);
    client.destroy();
  }
  for (const socket of sockets) socket.destroy();
  server.close();
});
