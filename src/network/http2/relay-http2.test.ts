import assert from "node:assert/strict";
import { once } from "node:events";
import { constants, type IncomingHttpHeaders } from "node:http2";
import { test } from "node:test";
import { get, received, setup } from "../../../test/support/http2/relayed.ts";
import { Blocked, type RequestVerdict } from "../http/inspector.ts";
import type { HttpField, RequestHead } from "../http/message.ts";

test("heads pass with all their fields, whichever way they go", async (t) => {
  let seen: readonly string[] = [];
  const { client } = await setup(t, (stream, _headers, raw) => {
    seen = raw;
    stream.respond({ ":status": 201, "set-cookie": ["a=1", "b=2"], "x-bytes": "caf\xe9", date: "now" });
    stream.end("body");
  });
  const answer = await get(client, {
    ":path": "/p?q",
    cookie: ["c=1", "d=2"],
    "x-many": ["1", "2"],
    te: "trailers",
  });
  assert.equal(answer.headers[":status"], 201);
  assert.deepEqual(answer.headers["set-cookie"], ["a=1", "b=2"]);
  assert.equal(answer.headers["x-bytes"], "caf\xe9");
  assert.equal(answer.headers.date, "now");
  assert.equal(answer.body.toString(), "body");
  const pairs = seen.flatMap((name, at) => (at % 2 === 0 ? [`${name}=${String(seen[at + 1])}`] : []));
  for (const pair of [
    ":path=/p?q",
    ":method=GET",
    "cookie=c=1",
    "cookie=d=2",
    "x-many=1",
    "x-many=2",
    "te=trailers",
  ])
    assert.ok(pairs.includes(pair), `${pair} in ${pairs.join(" ")}`);
});

test("no field is added that the server did not send", async (t) => {
  const { client } = await setup(t, (stream) => {
    stream.respond({ ":status": 200, date: "now" }, { endStream: true });
  });
  const { raw } = await get(client);
  assert.deepEqual([...raw], [":status", "200", "date", "now"]);
});

test("a body of 16 MiB passes both ways, and no more of it waits than the windows", async (t) => {
  const size = 16 * 1024 * 1024;
  const { client } = await setup(t, (stream) => {
    stream.respond({ ":status": 200 });
    stream.pipe(stream);
  });
  const stream = client.request({ ":method": "POST", ":path": "/" });
  let left = size;
  const send = (): void => {
    while (left > 0) {
      left -= 65_536;
      if (!stream.write(Buffer.alloc(65_536, left / 65_536)) && left > 0) {
        stream.once("drain", send);
        return;
      }
    }
    stream.end();
  };
  send();
  const { body } = await received(stream);
  assert.equal(body.length, size);
  for (let at = 0; at < size; at += 65_536) assert.equal(body[at], (size / 65_536 - 1 - at / 65_536) & 0xff);
});

test("a reader that takes nothing holds its server up", async (t) => {
  let written = 0;
  const { client } = await setup(t, (stream) => {
    stream.respond({ ":status": 200 });
    const write = (): void => {
      while (written < 64 * 1024 * 1024) {
        written += 65_536;
        if (!stream.write(Buffer.alloc(65_536))) {
          stream.once("drain", write);
          return;
        }
      }
    };
    write();
  });
  const stream = client.request({ ":path": "/" });
  stream.pause();
  await once(stream, "response");
  // Another stream of the same connection is answered meanwhile; what could move has moved by then.
  for (let round = 0; round < 50; round++) {
    await new Promise<void>((resolve) => {
      client.ping(() => resolve());
    });
  }
  assert.ok(written < 16 * 1024 * 1024, String(written));
  stream.close(constants.NGHTTP2_CANCEL);
});

test("trailers pass both ways, and a response may consist of a head alone", async (t) => {
  let seen: IncomingHttpHeaders = {};
  const { client } = await setup(t, (stream, headers) => {
    if (headers[":path"] === "/alone") {
      stream.respond({ ":status": 200, "grpc-status": "12" }, { endStream: true });
      return;
    }
    stream.on("trailers", (given) => {
      seen = given;
    });
    stream.resume();
    stream.on("end", () => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => {
        stream.sendTrailers({ "grpc-status": "0", "grpc-message": "ok" });
      });
      stream.end("message");
    });
  });
  const stream = client.request(
    { ":method": "POST", ":path": "/svc/method", te: "trailers" },
    { waitForTrailers: true },
  );
  stream.on("wantTrailers", () => {
    stream.sendTrailers({ "x-sum": "42" });
  });
  stream.end("question");
  const answer = await received(stream);
  assert.equal(answer.body.toString(), "message");
  assert.equal(answer.trailers["grpc-status"], "0");
  assert.equal(seen["x-sum"], "42");
  const alone = await get(client, { ":method": "POST", ":path": "/alone" });
  assert.equal(alone.headers["grpc-status"], "12");
  assert.equal(alone.body.length, 0);
});

test("a stream both ways at once, piece by piece", async (t) => {
  const { client } = await setup(t, (stream) => {
    stream.respond({ ":status": 200 });
    stream.on("data", (bytes: Buffer) => stream.write(`<${bytes.toString()}>`));
    stream.on("end", () => stream.end());
  });
  const stream = client.request({ ":method": "POST", ":path": "/" });
  for (const word of ["one", "two", "three"]) {
    stream.write(word);
    const [bytes] = (await once(stream, "data")) as [Buffer];
    assert.equal(bytes.toString(), `<${word}>`);
  }
  stream.end();
  await once(stream, "close");
});

test("HEAD, 204 and 304 have no body, and keep the length that they tell", async (t) => {
  const { client } = await setup(t, (stream, headers) => {
    const status = Number(headers["x-status"]);
    stream.respond(
      { ":status": status, "content-length": status === 200 ? "5000" : "0" },
      { endStream: true },
    );
  });
  const head = await get(client, { ":method": "HEAD", "x-status": "200" });
  assert.equal(head.headers["content-length"], "5000");
  for (const status of [204, 304]) {
    const { headers, body } = await get(client, { "x-status": String(status) });
    assert.equal(headers[":status"], status);
    assert.equal(body.length, 0);
  }
});

test("what a server says before its answer passes", async (t) => {
  const { client } = await setup(t, (stream) => {
    stream.additionalHeaders({ ":status": 103, link: "</a>" });
    stream.respond({ ":status": 200 });
    stream.end();
  });
  const stream = client.request({ ":path": "/" });
  const early = once(stream, "headers") as Promise<[IncomingHttpHeaders]>;
  const [headers] = await early;
  assert.equal(headers[":status"], 103);
  assert.equal((await received(stream)).headers[":status"], 200);
});

test("who breaks a stream off is heard at the other end, and no other stream is affected", async (t) => {
  const codes: number[] = [];
  const closed = Promise.withResolvers<undefined>();
  const { client } = await setup(t, (stream, headers) => {
    if (headers[":path"] === "/server") stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    else if (headers[":path"] === "/guest") {
      stream.respond({ ":status": 200 });
      stream.write("some");
      stream.on("close", () => {
        codes.push(stream.rstCode);
        closed.resolve(undefined);
      });
    } else {
      stream.respond({ ":status": 200 });
      stream.end("fine");
    }
  });
  assert.equal((await get(client, { ":path": "/server" })).code, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  const stream = client.request({ ":path": "/guest" });
  stream.on("error", () => undefined);
  await once(stream, "data");
  stream.close(constants.NGHTTP2_CANCEL);
  await closed.promise;
  assert.deepEqual(codes, [constants.NGHTTP2_CANCEL]);
  assert.equal((await get(client)).body.toString(), "fine");
});

test("a server that answers before the request has ended", async (t) => {
  const { client } = await setup(t, (stream) => {
    stream.respond({ ":status": 413 });
    stream.end("too much");
    stream.close(constants.NGHTTP2_NO_ERROR);
  });
  const stream = client.request({ ":method": "POST", ":path": "/" });
  stream.write("some of it");
  const answer = await received(stream);
  assert.equal(answer.headers[":status"], 413);
});

test("an answer that is all there, or came early, before its head was decided about", async (t) => {
  const { client } = await setup(
    t,
    (stream, { ":path": path }) => {
      const isAlone = path === "/alone";
      stream.respond(
        { ":status": 200, ...(isAlone && { "grpc-status": "16" }) },
        { endStream: isAlone, waitForTrailers: !isAlone },
      );
      stream.on("wantTrailers", () => {
        stream.sendTrailers({ "grpc-status": "8" });
        // What waits to be sent goes with its stream.
        if (path === "/early") setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
      });
      if (isAlone) stream.close(constants.NGHTTP2_NO_ERROR);
      else stream.end("a part");
    },
    {
      response: async (head) => {
        // Until the relay has heard all of it.
        for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
        return { head, body: null };
      },
    },
  );
  for (const path of ["/alone", "/early", "/whole"]) {
    const stream = client.request({ ":method": "POST", ":path": path });
    if (path === "/whole") stream.end("all of it");
    else stream.write("some of it");
    const { code, headers, body, trailers } = await received(stream);
    assert.deepEqual([code, headers[":status"]], [constants.NGHTTP2_NO_ERROR, 200], path);
    if (path === "/alone") assert.equal(headers["grpc-status"], "16");
    else assert.deepEqual([body.toString(), trailers["grpc-status"]], ["a part", "8"], path);
  }
});

test("a request that is answered here never gets to the server", async (t) => {
  let asked = 0;
  const verdict: RequestVerdict = {
    kind: "answer",
    head: { status: 403, fields: [["content-type", "text/plain"]] },
    body: Buffer.from("no"),
  };
  const { client } = await setup(
    t,
    (stream) => {
      asked++;
      stream.respond({ ":status": 200 });
      stream.end();
    },
    { request: (head) => (head.target === "/no" ? verdict : { kind: "forward", head, body: null }) },
  );
  const stream = client.request({ ":method": "POST", ":path": "/no" });
  stream.write("body");
  const answer = await received(stream);
  assert.equal(answer.headers[":status"], 403);
  assert.equal(answer.body.toString(), "no");
  assert.equal((await get(client, { ":path": "/no" })).headers[":status"], 403);
  assert.equal((await get(client)).headers[":status"], 200);
  assert.equal(asked, 1);
});

test("what is blocked in a head never gets to the server, and only its stream ends", async (t) => {
  const asked: string[] = [];
  const { client } = await setup(
    t,
    (stream, headers) => {
      asked.push(String(headers[":path"]));
      stream.respond({ ":status": 200 });
      stream.end();
    },
    {
      request: (head) => {
        if (head.target === "/now") throw new Blocked("no");
        if (head.target === "/later") return Promise.reject(new Blocked("no"));
        return { kind: "forward", head, body: null };
      },
    },
  );
  for (const path of ["/now", "/later"]) {
    const { code, headers } = await get(client, { ":path": path });
    assert.equal(code, constants.NGHTTP2_CANCEL);
    assert.equal(headers[":status"], undefined);
  }
  assert.equal((await get(client, { ":path": "/fine" })).headers[":status"], 200);
  assert.deepEqual(asked, ["/fine"]);
});

test("a filter changes a body, may wait, and may break off; what it held back is not sent", async (t) => {
  const bodies: string[] = [];
  const over = Promise.withResolvers<undefined>();
  const { client } = await setup(
    t,
    (stream) => {
      let body = "";
      stream.on("data", (bytes: Buffer) => {
        body += bytes.toString();
      });
      stream.on("end", () => {
        if (stream.destroyed) return;
        bodies.push(body);
        stream.respond({ ":status": 200, "content-length": "5" });
        stream.end("hello");
      });
      stream.on("aborted", () => {
        bodies.push(`aborted ${body}`);
        over.resolve(undefined);
      });
    },
    {
      request: (head) => ({
        kind: "forward",
        head,
        body: {
          changesLength: true,
          push: async (bytes) => {
            await new Promise((resolve) => {
              setImmediate(resolve);
            });
            if (bytes.includes("bad")) throw new Blocked("bad");
            return [Buffer.from(bytes.toString().toUpperCase())];
          },
          end: () => [Buffer.from("!")],
        },
      }),
      response: (head) => ({
        head,
        body: { changesLength: true, push: (bytes) => [bytes, bytes], end: () => [] },
      }),
    },
  );
  const stream = client.request({ ":method": "POST", ":path": "/" });
  stream.write("one ");
  stream.write("two ");
  stream.end("three");
  const answer = await received(stream);
  assert.equal(answer.body.toString(), "hellohello");
  assert.equal(answer.headers["content-length"], undefined);
  assert.deepEqual(bodies.splice(0), ["ONE TWO THREE!"]);
  const blocked = client.request({ ":method": "POST", ":path": "/" });
  blocked.write("good ");
  blocked.write("bad ");
  blocked.end("more");
  assert.equal((await received(blocked)).code, constants.NGHTTP2_CANCEL);
  await over.promise;
  assert.doesNotMatch(bodies.join(), /bad|BAD|MORE/);
});

test("trailers go through the inspector, with the request as it was sent", async (t) => {
  let seen: IncomingHttpHeaders = {};
  let sent: RequestHead | null = null;
  const { client } = await setup(
    t,
    (stream) => {
      stream.on("trailers", (given) => {
        seen = given;
      });
      stream.resume();
      stream.on("end", () => {
        stream.respond({ ":status": 200 });
        stream.end();
      });
    },
    {
      request: (head) => {
        sent = { ...head, fields: [...head.fields, ["x-added", "1"]] };
        return { kind: "forward", head: sent, body: null };
      },
      trailers: (fields, request) => {
        assert.equal(request, sent);
        return fields.map(([name, value]): HttpField => [name, value.replace("$KEY", "value")]);
      },
    },
  );
  const stream = client.request({ ":method": "POST", ":path": "/" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => {
    stream.sendTrailers({ "x-token": "$KEY" });
  });
  stream.end("body");
  await received(stream);
  assert.equal(seen["x-token"], "value");
});

test("1,100 requests one after the other, and 200 at once", async (t) => {
  const { client } = await setup(t, (stream) => {
    stream.respond({ ":status": 200 });
    stream.end("x");
  });
  for (let index = 0; index < 1_100; index++) assert.equal((await get(client)).body.toString(), "x");
  const all = await Promise.all(Array.from({ length: 200 }, () => get(client)));
  assert.ok(all.every(({ body }) => body.toString() === "x"));
});
