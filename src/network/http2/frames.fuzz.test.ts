import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { chunks, pick, type Random, rounds, seeded } from "../../../test/support/fuzz.ts";
import { block, frame, good, preface } from "../../../test/support/http2/frames.ts";
import { setup } from "../../../test/support/http2/relayed.ts";
import { Blocked } from "../http/inspector.ts";
import type { HttpField } from "../http/message.ts";

/** Of which some are right, and some are what a guest would try. */
const paths = ["/", "/a?b=c", "/secret", "/secret/../a", "*", "evil", "http://evil.com/", "/a b", "", "/é"];
const authorities = ["a.b", "a.b", "A.B", "evil.com", "a.b:80", "", "a.b@evil.com"];
const methods = ["GET", "POST", "HEAD", "OPTIONS", "CONNECT", "get", "GET /x", ""];
const schemes = ["http", "http", "https", "x", ""];
const more: readonly HttpField[] = [
  ["host", "a.b"],
  ["host", "evil.com"],
  ["te", "trailers"],
  ["transfer-encoding", "chunked"],
  ["content-length", "3"],
  ["content-length", "x"],
  ["connection", "close"],
  [":path", "/secret"],
  [":protocol", "websocket"],
  ["X-Upper", "1"],
  ["cookie", "a=b"],
  ["x", "y\r\nz: 1"],
  ["", "nameless"],
];

function head(random: Random): Buffer {
  const isRight = random(3) > 0;
  const fields: HttpField[] = isRight
    ? [...good.filter(([name]) => name !== ":path"), [":path", pick(random, ["/", "/a?b=c", "/secret"])]]
    : [
        [":method", pick(random, methods)],
        [":scheme", pick(random, schemes)],
        [":path", pick(random, paths)],
        [":authority", pick(random, authorities)],
      ];
  if (isRight) return block(fields);
  for (let times = random(3); times > 0; times--)
    fields.splice(random(fields.length + 1), 0, pick(random, more));
  if (random(6) === 0) fields.splice(random(fields.length), 1);
  const bytes = block(fields);
  // Now and then a bit of it is another one.
  if (random(4) === 0 && bytes.length > 0) {
    const at = random(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8));
  }
  return bytes;
}

/** What a client says after its preface: frames that are right, and such as are not. */
function conversation(random: Random): Buffer {
  const frames: Buffer[] = [];
  let next = 1;
  const stream = (): number => (random(4) === 0 ? random(12) : Math.max(1, next - 2));
  for (let count = 1 + random(8); count > 0; count--) {
    switch (random(10)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        const bytes = head(random);
        const cut = random(bytes.length + 1);
        const ends = random(2);
        if (random(3) > 0) frames.push(frame(1, 4 | ends, next, bytes));
        else
          frames.push(
            frame(1, ends, next, bytes.subarray(0, cut)),
            frame(9, 4, stream(), bytes.subarray(cut)),
          );
        next += 2;
        break;
      }
      case 4:
        frames.push(frame(0, random(2), stream(), Buffer.alloc(random(300), "d")));
        break;
      case 5:
        frames.push(frame(3, 0, stream(), Buffer.alloc(random(5) === 0 ? 3 : 4)));
        break;
      case 6:
        frames.push(frame(8, 0, random(2) * stream(), Buffer.from([0, 0, random(2), random(256)])));
        break;
      case 7:
        frames.push(frame(4, random(2), 0, Buffer.from([0, random(8), 0, 0, random(256), random(256)])));
        break;
      case 8:
        frames.push(frame(6, random(2), random(2), Buffer.alloc(random(4) === 0 ? 7 : 8)));
        break;
      default:
        frames.push(frame(random(256), random(256), random(12), Buffer.alloc(random(40), random(256))));
    }
  }
  return Buffer.concat(frames);
}

test("whatever frames a guest sends, its server sees only what was allowed, and the connection ends", async (t) => {
  const random = seeded(t);
  const allowed = new Set<string>();
  const seen: string[] = [];
  let asked = 0;
  const relayed = await setup(
    t,
    (stream, headers) => {
      const { ":method": method, ":path": path, ":authority": authority } = headers;
      seen.push(`${String(method)} ${String(path)} ${String(authority)}`);
      stream.resume();
      if (stream.destroyed) return;
      stream.respond({ ":status": 200 }, { endStream: random(2) === 0 });
      if (stream.writable) stream.end("answer");
    },
    {
      request: (given) => {
        asked++;
        const { method, target, authority } = given;
        if (target.includes("secret") || authority !== "a.b") throw new Blocked("not this one");
        allowed.add(`${method} ${target} ${authority}`);
        return { kind: "forward", head: given, body: null };
      },
    },
  );
  for (let round = 0; round < rounds(400); round++) {
    const socket = connect({ port: relayed.port, host: "127.0.0.1" });
    socket.on("error", () => undefined);
    socket.resume();
    await once(socket, "connect");
    const bytes = Buffer.concat([preface, conversation(random)]);
    for (const piece of chunks(random, bytes)) if (socket.writable) socket.write(piece);
    // What was in order is answered, what was not ends the connection: either way it is over when the client goes.
    socket.end();
    await new Promise<void>((resolve) => socket.once("close", () => resolve()));
  }
  relayed.client.destroy();
  await Promise.all(relayed.ends);
  t.diagnostic(`${seen.length} seen of ${asked} asked for`);
  assert.deepEqual(
    seen.filter((one) => !allowed.has(one)),
    [],
    "a server has seen what nobody has allowed",
  );
  assert.ok(seen.length > 20 && asked > seen.length, `${seen.length} seen of ${asked} asked for`);
});
