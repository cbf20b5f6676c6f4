import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { test } from "node:test";
import { newToken, refuseForeign, refuseStrangeSocket, refuseStranger } from "./guard.ts";

function request(headers: Record<string, string>, method = "POST"): IncomingMessage {
  return { headers, method } as unknown as IncomingMessage;
}

const own = { host: "127.0.0.1:8420", origin: "http://127.0.0.1:8420", "sec-fetch-site": "same-origin" };

test("the page's own requests are answered, by whatever name of this computer it was opened", () => {
  for (const host of ["127.0.0.1:8420", "localhost:9000", "[::1]:8420"]) {
    assert.equal(refuseForeign(request({ ...own, host, origin: `http://${host}` }), true), null);
  }
  assert.equal(refuseForeign(request({ host: "127.0.0.1:8420" })), null, "no browser");
});

test("a name that was rebound to this computer is refused", () => {
  for (const host of [
    "evil.example:8420",
    "127.0.0.1.evil.example",
    "localhost.evil.example:8420",
    "10.0.0.1:8420",
    "",
  ]) {
    assert.equal(refuseForeign(request({ ...own, host, origin: `http://${host}` }))?.status, 403, host);
  }
  assert.equal(refuseForeign(request({}))?.status, 403);
});

test("another origin is refused, be it another port of this computer", () => {
  for (const origin of ["http://evil.example", "http://127.0.0.1:9999", "https://127.0.0.1:8420", "null"]) {
    assert.equal(refuseForeign(request({ ...own, origin }))?.status, 403, origin);
  }
  assert.equal(refuseForeign(request({ host: own.host }), true)?.status, 403, "a WebSocket always has one");
});

test("what another site's page asks for is refused, but for a link to the page", () => {
  const cross = { host: own.host, "sec-fetch-site": "cross-site" };
  assert.equal(refuseForeign(request(cross, "GET"))?.status, 403);
  assert.equal(refuseForeign(request({ ...cross, "sec-fetch-site": "same-site" }, "GET"))?.status, 403);
  const navigation = { ...cross, "sec-fetch-mode": "navigate" };
  assert.equal(refuseForeign(request(navigation, "GET")), null);
  assert.equal(refuseForeign(request(navigation, "POST"))?.status, 403);
});

test("the token has to be right, in a header or among the subprotocols", () => {
  const token = newToken();
  assert.match(token, /^[\w-]{43}$/);
  assert.notEqual(token, newToken());
  assert.equal(refuseStranger(request({ authorization: `Bearer ${token}` }), token), null);
  for (const given of [
    "",
    token,
    `Bearer ${token}x`,
    `Bearer ${token.slice(1)}`,
    "Bearer ",
    `Basic ${token}`,
  ])
    assert.equal(refuseStranger(request({ authorization: given }), token)?.status, 401, given);
  const offer = (text: string): IncomingMessage => request({ "sec-websocket-protocol": text });
  assert.equal(refuseStrangeSocket(offer(`msb, msb.token.${token}`), token), null);
  for (const given of ["", "msb", `msb.token.${token}`, `msb, msb.token.${newToken()}`, "msb, msb.token."])
    assert.equal(refuseStrangeSocket(offer(given), token)?.status, 401, given);
});
