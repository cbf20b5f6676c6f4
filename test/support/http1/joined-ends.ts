import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import type { Inspector } from "../../../src/network/http/inspector.ts";
import { type OpenInspector, openInspector } from "./open-inspector.ts";
import { listening, portOf, RawClient, RelayedServer } from "./relayed-server.ts";

/** The server's end of a connection. */
export class ServerEnd {
  readonly socket: Socket;
  readonly over: Promise<void>;
  heard = "";
  hasEnded = false;
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (bytes) => {
      this.heard += bytes.toString("latin1");
      this.#wake();
    });
    socket.on("end", () => {
      this.hasEnded = true;
      this.#wake();
    });
    socket.on("error", () => undefined);
    this.over = new Promise((resolve) => {
      socket.on("close", () => {
        this.#wake();
        resolve();
      });
    });
  }

  say(words: string | Buffer): this {
    this.socket.write(typeof words === "string" ? Buffer.from(words, "latin1") : words);
    return this;
  }

  /** Waits until it has heard just this, since the last time. */
  async hears(words: string): Promise<void> {
    while (this.heard.length < words.length && !this.socket.destroyed) await this.#change();
    assert.equal(this.heard.slice(0, words.length), words);
    this.heard = this.heard.slice(words.length);
  }

  /** Waits for the end, before which nothing more is to come. */
  async ended(): Promise<void> {
    await this.endOfAll();
    assert.equal(this.heard, "");
  }

  /** Waits for the end; what comes before it is left in `heard`. */
  async endOfAll(): Promise<void> {
    while (!this.hasEnded && !this.socket.destroyed) await this.#change();
    assert.ok(this.hasEnded);
  }

  async #change(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }
}

export interface Pair extends OpenInspector {
  readonly client: RawClient;
  readonly server: ServerEnd;
  readonly relay: RelayedServer;
}

/** A client and a server that are joined, and both of which are the test. */
export async function joined(changes: Partial<Inspector> = {}): Promise<Pair> {
  const listener = await listening(createServer({ allowHalfOpen: true, noDelay: true }));
  const open = openInspector(changes);
  const relay = await RelayedServer.start(portOf(listener), open.inspector);
  const arrived = new Promise<Socket>((resolve) => listener.once("connection", resolve));
  const client = new RawClient(relay.port);
  const server = new ServerEnd(await arrived);
  relay.stopListening();
  listener.close();
  return { ...open, client, server, relay };
}

/** Waits for the end of the relay, which is to be like this. */
export async function ends(pair: Pair, kind: "closed" | "reset" | "blocked"): Promise<void> {
  const end = await pair.relay.ends[0];
  assert.equal(end?.kind, kind);
  if (end.kind === "blocked") assert.equal(end.error, null);
}
