import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { duplexPair } from "node:stream";
import { after, test } from "node:test";
import { Channel } from "../protocol/channel.ts";
import { FrameKind } from "../protocol/frame.ts";
import type { Message } from "../protocol/generated/messages.ts";
import { locateHome } from "../store/home.ts";
import { HostRequests } from "./host-requests.ts";

const directory = await mkdtemp(join(tmpdir(), "msb-host-requests-"));
after(() => rm(directory, { recursive: true, force: true }));

/** Someone who asks a supervisor without a sandbox. */
class Asker {
  readonly #channel: Channel;
  readonly #waiting = new Map<number, (message: Message) => void>();
  readonly closed: Promise<void>;
  /** When the supervisor would leave. */
  readonly done: Promise<void>;

  constructor() {
    const [mine, theirs] = duplexPair();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#channel = new Channel(
      mine,
      { incoming: "supervisor→client" },
      {
        message: (stream, message) => this.#waiting.get(stream)?.(message),
        bulk: () => undefined,
        closed: () => {
          resolve();
        },
      },
    );
    this.done = HostRequests.answer(theirs, locateHome({ MSB_HOME: directory }));
  }

  ask(stream: number, message: Message): Promise<Message> {
    return new Promise((resolve) => {
      this.#waiting.set(stream, resolve);
      this.#channel.send(stream, message);
    });
  }

  sendBytes(): void {
    this.#channel.sendBulk(1, FrameKind.stdin, Buffer.from("bytes"));
  }

  leave(): void {
    this.#channel.fail(new Error("left"));
  }
}

test("each request gets its own answer, and the supervisor leaves with its owner", async () => {
  const asker = new Asker();
  const [diagnosis, ping, warm] = await Promise.all([
    asker.ask(1, { type: "Diagnose" }),
    asker.ask(2, { type: "Ping", nonce: 1 }),
    asker.ask(3, { type: "Warm", config: "{}" }),
  ]);
  assert.ok(diagnosis.type === "Diagnosis");
  const [node] = diagnosis.findings;
  assert.equal(node?.name, "node");
  assert.equal(node.status, "ok");
  assert.ok(diagnosis.findings.some(({ name }) => name === "qemu"));
  assert.ok(ping.type === "Failure");
  assert.equal(ping.code, "protocol");
  assert.equal(warm.type, "Failure");
  asker.leave();
  await asker.done;
});

test("bytes, which nothing here takes, end the connection", async () => {
  const asker = new Asker();
  asker.sendBytes();
  await Promise.all([asker.closed, asker.done]);
});
