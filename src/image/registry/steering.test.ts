import assert from "node:assert/strict";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { HttpError } from "../../errors/index.ts";
import { HttpConnections } from "./http.ts";
import { sendFollowing } from "./redirect.ts";
import { fetchToken } from "./token.ts";

/** A registry decides where it redirects and where its tokens are: it must not reach what only this machine can. */

const retry = { attempts: 1, baseMs: 1, maximumMs: 1 };
const credential = { kind: "basic", username: "me", password: "secret" } as const;

/** A service of this machine that trusts whoever reaches it. */
class LocalService implements AsyncDisposable {
  readonly seen: IncomingMessage[] = [];
  readonly #server = createServer((request, response) => {
    this.seen.push(request);
    if (request.url === "/away") response.writeHead(307, { location: "/token" }).end();
    else response.end('{"token":"t"}');
  });

  async start(): Promise<URL> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return new URL(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/token`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function connections(): HttpConnections {
  return new HttpConnections({
    caCertificates: [],
    unverifiedHost: null,
    environment: {},
    silenceMs: 10_000,
  });
}

test("only a registry that may speak plain HTTP has its tokens on this machine", async () => {
  await using service = new LocalService();
  const realm = await service.start();
  using http = connections();
  const request = {
    challenge: { scheme: "bearer", parameters: new Map([["realm", realm.href]]) },
    scope: "",
    credential,
    retry,
    signal: undefined,
  };
  await assert.rejects(fetchToken(http, { ...request, allowPlain: false }), (error) => {
    assert.ok(error instanceof HttpError, String(error));
    assert.match(error.message, /not encrypted/);
    return true;
  });
  assert.equal(service.seen.length, 0);
  assert.equal((await fetchToken(http, { ...request, allowPlain: true })).value, "t");
});

test("only a registry that may speak plain HTTP redirects to this machine", async () => {
  await using service = new LocalService();
  const url = new URL("/away", await service.start());
  using http = connections();
  const request = { method: "GET", url, headers: {} } as const;
  await assert.rejects(sendFollowing(http, request, false), (error) => {
    assert.ok(error instanceof HttpError, String(error));
    assert.match(error.message, /not encrypted/);
    return true;
  });
  assert.deepEqual(
    service.seen.map(({ url: path }) => path),
    ["/away"],
  );
  const response = await sendFollowing(http, request, true);
  response.body.destroy();
  assert.equal(response.status, 200);
});
