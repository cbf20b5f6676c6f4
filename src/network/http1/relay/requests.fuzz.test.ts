import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { duplexPair } from "node:stream";
import { buffer } from "node:stream/consumers";
import { test } from "node:test";
import { chunks, type Random, rounds, seeded } from "../../../../test/support/fuzz.ts";
import { type OpenInspector, openInspector } from "../../../../test/support/http1/open-inspector.ts";
import { someRequests } from "../../../../test/support/http1/some-requests.ts";
import type { BodyFilter } from "../../http/inspector.ts";
import type { RequestHead } from "../../http/message.ts";
import { parseRequest } from "../message/heads.ts";
import { MessageReader } from "../message/message-reader.ts";
import { type Http1End, relayHttp1 } from "./relay-http1.ts";

/** A request as somebody reads it. */
interface Reading {
  readonly line: string;
  readonly fields: readonly string[];
  /** null: it was not there in whole. */
  body: string | null;
}

function readingOf(head: RequestHead): Reading {
  return { line: `${head.method} ${head.target} ${head.version}`, fields: head.fields.flat(), body: null };
}

/** Says all that is in pieces, and waits for the end. */
async function relay(
  random: Random,
  bytes: Buffer,
  open: OpenInspector,
  serve: (end: ReturnType<typeof duplexPair>[0]) => void,
): Promise<Http1End> {
  const [client, guest] = duplexPair({ allowHalfOpen: true });
  const [server, far] = duplexPair({ allowHalfOpen: true });
  for (const end of [client, guest, server, far]) end.on("error", () => undefined);
  // As a socket is told of what can never be delivered.
  far.on("close", () => server.destroy());
  serve(far);
  const over = relayHttp1({ guest, server, inspector: open.inspector });
  client.resume();
  const state = { isOver: false };
  void over.then(() => (state.isOver = true));
  for (const piece of chunks(random, bytes)) {
    if (state.isOver) break;
    if (!client.write(piece)) await Promise.race([over, once(client, "drain")]);
  }
  client.end();
  const end = await over;
  for (const one of [client, guest, server, far]) one.destroy();
  return end;
}

/** Passes a body on as it is, through the way that changes it, and keeps it. */
function kept(reading: Reading, changesLength: boolean): BodyFilter {
  const pieces: Buffer[] = [];
  return {
    changesLength,
    push: (bytes) => {
      pieces.push(Buffer.from(bytes));
      return [bytes];
    },
    end: () => {
      reading.body = Buffer.concat(pieces).toString("latin1");
      return [];
    },
  };
}

test("Node's own strict server reads the same requests as we do", async (context) => {
  const random = seeded(context);
  let theirs: Reading[] = [];
  let refusals = 0;
  const server = createServer({ requireHostHeader: false, keepAliveTimeout: 0 }, (request, response) => {
    const line = `${String(request.method)} ${String(request.url)} ${request.httpVersion}`;
    const reading: Reading = { line, fields: request.rawHeaders, body: null };
    theirs.push(reading);
    buffer(request).then(
      (body) => {
        reading.body = request.complete ? body.toString("latin1") : null;
        response.end("ok");
      },
      () => response.destroy(),
    );
  });
  server.on("checkContinue", (request, response) => server.emit("request", request, response));
  server.on("clientError", (_error, socket) => {
    refusals++;
    socket.destroy();
  });
  const counts = { same: 0, refusedByUs: 0, refusedByThem: 0, requests: 0 };
  for (let round = rounds(3000); round > 0; round--) {
    const bytes = someRequests(random);
    const ours: Reading[] = [];
    theirs = [];
    refusals = 0;
    const way = random(3);
    const open = openInspector({
      request: (head) => {
        const reading = readingOf(head);
        ours.push(reading);
        return { kind: "forward", head, body: way === 0 ? null : kept(reading, way === 1) };
      },
    });
    const end = await relay(random, bytes, open, (far) => void server.emit("connection", far));
    const what = `${JSON.stringify(bytes.toString("latin1"))}\n${open.reasons.join()}`;
    assert.equal(end.kind === "blocked" ? end.error : null, null, what);
    assert.ok(theirs.length <= ours.length, `${what}: they saw more requests than we did`);
    for (const [index, reading] of theirs.entries()) {
      const own = ours[index];
      assert.deepEqual([own?.line, named(own)], [reading.line, named(reading)], what);
      if (way !== 0 && own !== undefined && own.body !== null && reading.body !== null)
        assert.equal(reading.body, own.body, what);
    }
    if (refusals > 0 && end.kind !== "blocked") counts.refusedByThem++;
    else if (end.kind === "blocked") counts.refusedByUs++;
    else {
      // Of one whose length has to be said anew, nothing is said before its end.
      const held = way === 1 && ours.at(-1)?.body === null ? 1 : 0;
      assert.ok(theirs.length >= ours.length - held, what);
      counts.same++;
    }
    counts.requests += theirs.length;
  }
  context.diagnostic(JSON.stringify(counts));
  assert.ok(counts.same > 0 && counts.refusedByUs > 0 && counts.requests > counts.same);
  close(server);
});

/** What our rewriting of the length changes is not compared. */
function named(reading: Reading | undefined): readonly string[] {
  const kept: string[] = [];
  const fields = reading?.fields ?? [];
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] ?? "";
    if (!/^(?:content-length|expect)$/i.test(name)) kept.push(name, fields[at + 1] ?? "");
  }
  return kept;
}

test("the same bytes make the same requests and the same output, however they are cut", async (context) => {
  const random = seeded(context);
  const seen = { blocked: 0, closed: 0, reset: 0, http2: 0 };
  for (let round = rounds(2000); round > 0; round--) {
    const bytes = someRequests(random);
    const way = random(3);
    const results: { kind: string; heads: RequestHead[]; reasons: string[]; out: string }[] = [];
    for (let time = 0; time < 3; time++) {
      const open = openInspector();
      const inspector = {
        ...open.inspector,
        request: (head: RequestHead) => {
          open.heads.push(head);
          return {
            kind: "forward" as const,
            head,
            body: way === 0 ? null : kept(readingOf(head), way === 1),
          };
        },
      };
      const out: Buffer[] = [];
      const end = await relay(random, bytes, { ...open, inspector }, (far) => {
        far.on("data", (piece: Buffer) => out.push(piece));
        far.on("end", () => far.end());
      });
      results.push({
        kind: end.kind,
        heads: open.heads,
        reasons: open.reasons,
        out: Buffer.concat(out).toString("latin1"),
      });
    }
    const [first, ...others] = results;
    assert.ok(first !== undefined);
    seen[first.kind as keyof typeof seen]++;
    for (const other of others) {
      const what = JSON.stringify(bytes.toString("latin1"));
      // Of several faults, another one may be found first.
      assert.deepEqual([other.kind, other.reasons.length], [first.kind, first.reasons.length], what);
      assert.deepEqual(other.heads, first.heads, what);
      const one = unchunked(other.out);
      const another = unchunked(first.out);
      // Of what is broken off, the last words may be on their way.
      if (first.kind === "blocked") assert.ok(one.startsWith(another) || another.startsWith(one), what);
      else if (way === 0) assert.equal(other.out, first.out, what);
      else assert.equal(one, another, what);
    }
  }
  context.diagnostic(JSON.stringify(seen));
  assert.ok(seen.blocked > 0 && seen.closed > 0);
});

/** Chunks of our own are as large as the pieces that come: what is in them is compared. What is no request is as it is. */
function unchunked(out: string): string {
  const reader = new MessageReader(parseRequest);
  let text = "";
  try {
    reader.push(Buffer.from(out, "latin1"));
    for (let event = reader.next(); event !== null; event = reader.next()) {
      text += event.kind === "body" ? event.bytes.toString("latin1") : event.raw.toString("latin1");
      reader.decodes = true;
    }
    return text + reader.takeRest().toString("latin1");
  } catch {
    return out;
  }
}

function close(server: Server): void {
  server.closeAllConnections();
  server.close();
}
