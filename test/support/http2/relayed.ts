import assert from "node:assert/strict";
import { once } from "node:events";
import {
  connect,
  createServer,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionOptions,
  type Http2Server,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { connect as connectTcp, createServer as createTcpServer, type AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { Blocked, type Inspector } from "../../../src/network/http/inspector.ts";
import { relayHttp2, type Http2End } from "../../../src/network/http2/relay-http2.ts";

export type Answer = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  raw: readonly string[],
) => void;

export interface Setup {
  readonly client: ClientHttp2Session;
  readonly port: number;
  readonly server: Http2Server;
  /** How the relay's connections have ended. */
  readonly ends: Promise<Http2End>[];
}

export const passing: Inspector = {
  request: (head) => ({ kind: "forward", head, body: null }),
  trailers: (fields) => fields,
  response: (head) => ({ head, body: null }),
  responseFields: (fields) => fields,
  raw: () => assert.fail("no raw bytes"),
  malformed: (reason) => new Blocked(reason),
};

/** Both say what servers and clients say that are not Node's. */
const asItIs = { strictSingleValueFields: false };

/** A client, a server, and the relay between them. */
export async function setup(t: TestContext, answer: Answer, more: Partial<Inspector> = {}): Promise<Setup> {
  const server = createServer({ ...asItIs, settings: { maxConcurrentStreams: 2_000 } });
  server.on("stream", (stream, headers, _flags, raw: readonly string[]) => {
    stream.on("error", () => undefined);
    answer(stream, headers, raw);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const ends: Promise<Http2End>[] = [];
  const relay = createTcpServer({ pauseOnConnect: true, allowHalfOpen: true }, (guest) => {
    const upstream = connectTcp({
      port: (server.address() as AddressInfo).port,
      host: "127.0.0.1",
      allowHalfOpen: true,
    });
    ends.push(relayHttp2({ guest, server: upstream, scheme: "http", inspector: { ...passing, ...more } }));
  });
  relay.listen(0, "127.0.0.1");
  await once(relay, "listening");
  const { port } = relay.address() as AddressInfo;
  const client = connect(`http://127.0.0.1:${port}`, asItIs as ClientSessionOptions);
  client.on("error", () => undefined);
  t.after(() => {
    client.destroy();
    relay.close();
    server.close();
  });
  return { client, port, server, ends };
}

export interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly raw: readonly string[];
  readonly trailers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly code: number;
}

/** What a stream is answered, when it is over. */
export async function received(stream: ClientHttp2Stream): Promise<Received> {
  let headers: IncomingHttpHeaders = {};
  let raw: readonly string[] = [];
  let trailers: IncomingHttpHeaders = {};
  const body: Buffer[] = [];
  stream.on("response", (given: IncomingHttpHeaders, _flags: number, givenRaw: readonly string[]) => {
    headers = given;
    raw = givenRaw;
  });
  stream.on("trailers", (given: IncomingHttpHeaders) => {
    trailers = given;
  });
  stream.on("data", (bytes: Buffer) => body.push(bytes));
  stream.on("error", () => undefined);
  if (!stream.destroyed) {
    await new Promise<void>((resolve) => {
      stream.once("close", () => resolve());
    });
  }
  return { headers, raw, trailers, body: Buffer.concat(body), code: stream.rstCode };
}

export const get = (client: ClientHttp2Session, more: OutgoingHttpHeaders = {}): Promise<Received> =>
  received(client.request({ ":path": "/", ...more }));
