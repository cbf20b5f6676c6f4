import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { duplexPair } from "node:stream";
import { after, test } from "node:test";
import type { Message } from "../protocol/generated/messages.ts";
import { Streams } from "../protocol/streams.ts";
import { locateHome } from "../store/home.ts";
import { HostRequests } from "./host-requests.ts";

const directory = await mkdtemp(join(tmpdir(), "msb-host-requests-"));
after(() => rm(directory, { recursive: true, force: true }));

/** Someone who asks a supervisor without a sandbox. */
class Asker {
  readonly #streams: Streams;
  readonly closed: Promise<void>;
  /** When the supervisor would leave. */
  readonly done: Promise<void>;

  constructor() {
    const [mine, theirs] = duplexPair();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#streams = new Streams(
      mine,
      { incoming: "supervisor→client" },
      {
        message: () => undefined,
        accept: () => assert.fail("a supervisor opens no streams"),
        reason: (error) => error ?? new Error("closed"),
        closed: () => {
          resolve();
        },
      },
    );
    this.done = HostRequests.answer(theirs, locateHome({ MSB_HOME: directory }));
  }

  ask(request: Message): Promise<Message> {
    return new Promise((resolve, reject) => {
      this.#streams.open(request, { message: resolve, data: () => undefined, lost: reject });
    });
  }

  leave(): void {
    this.#streams.fail(new Error("left"));
  }
}

test("each request gets its own answer, and the supervisor leaves with its owner", async () => {
  const asker = new Asker();
  const [diagnosis, warm] = await Promise.all([
    asker.ask({ type: "Diagnose" }),
    asker.ask({ type: "Warm", config: "{}" }),
  ]);
  assert.ok(diagnosis.type === "Diagnosis");
  const [node] = diagnosis.findings;
  assert.equal(node?.name, "node");
  assert.equal(node.status, "ok");
  assert.ok(diagnosis.findings.some(({ name }) => name === "qemu"));
  assert.equal(warm.type, "Failure");
  asker.leave();
  await asker.done;
});

test("what needs a sandbox ends the connection", async () => {
  const asker = new Asker();
  await assert.rejects(asker.ask({ type: "Ping", nonce: 1 }));
  await Promise.all([asker.closed, asker.done]);
});
