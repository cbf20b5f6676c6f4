import assert from "node:assert/strict";
import { once } from "node:events";
import { constants, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { test } from "node:test";
import { get, received, setup } from "../../../test/support/http2/relayed.ts";
import { Blocked } from "../http/inspector.ts";
import type { HttpField, RequestHead } from "../http/message.ts";

/** Types know as little as Node of what others send. */
function twice(headers: Record<string, number | string | string[]>): OutgoingHttpHeaders {
  return headers;
}

test("a field that comes twice passes, though Node would not send it so", async (t) => {
  const seen: IncomingHttpHeaders[] = [];
  const { client } = await setup(t, (stream, headers) => {
    seen.push(headers);
    stream.respond(
      twice({
        ":status": 200,
        "x-content-type-options": ["nosniff", "nosniff"],
        "content-language": ["de", "en"],
        "x-other": ["a", "a"],
      }),
      { waitForTrailers: true },
    );
    stream.on("wantTrailers", () => stream.sendTrailers(twice({ etag: ["a", "b"] })));
    stream.end("ok");
  });
  const { headers, raw, trailers, body } = await get(client, twice({ "user-agent": ["one", "two"] }));
  assert.equal(headers["x-content-type-options"], "nosniff");
  assert.equal(headers["content-language"], "de, en");
  assert.deepEqual(
    raw.filter((_, at) => raw[at - 1] === "x-other"),
    ["a", "a"],
  );
  assert.equal(trailers["etag"], "a, b");
  assert.equal(body.toString(), "ok");
  assert.equal(seen[0]?.["user-agent"], "one, two");
});

test("what HTTP/2 cannot say is told, and only its stream ends", async (t) => {
  const reasons: string[] = [];
  const { client } = await setup(
    t,
    (stream) => {
      stream.respond({ ":status": 200 });
      stream.end("ok");
    },
    {
      response: (head, { target }) => ({
        head: target === "/odd" ? { ...head, status: 999 } : head,
        body: null,
      }),
      malformed: (reason) => {
        reasons.push(reason);
        return new Blocked(reason);
      },
    },
  );
  assert.equal((await get(client, { ":path": "/odd" })).code, constants.NGHTTP2_INTERNAL_ERROR);
  assert.deepEqual(reasons, ["HTTP/2 cannot say it: ERR_HTTP2_STATUS_INVALID"]);
  assert.equal((await get(client)).body.toString(), "ok");
});

test("what comes before the head of a response and after its body goes through the inspector, too", async (t) => {
  let sent: RequestHead | null = null;
  const { client } = await setup(
    t,
    (stream) => {
      stream.additionalHeaders({ ":status": 103, link: "</value>" });
      stream.respond({ ":status": 200 }, { waitForTrailers: true });
      stream.on("wantTrailers", () => {
        stream.sendTrailers({ "x-token": "value", "x-sum": "1" });
      });
      stream.end("body");
    },
    {
      request: (head) => {
        sent = { ...head, fields: [...head.fields, ["x-added", "1"]] };
        return { kind: "forward", head: sent, body: null };
      },
      responseFields: (fields, request) => {
        assert.equal(request, sent);
        return fields.map(([name, text]): HttpField => [name, text.replace("value", "$KEY")]);
      },
    },
  );
  const stream = client.request({ ":path": "/" });
  const early = once(stream, "headers") as Promise<[IncomingHttpHeaders]>;
  const [headers] = await early;
  assert.equal(headers["link"], "</$KEY>");
  const { trailers } = await received(stream);
  assert.deepEqual([trailers["x-token"], trailers["x-sum"]], ["$KEY", "1"]);
});
