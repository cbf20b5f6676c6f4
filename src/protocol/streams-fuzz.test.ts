/**
 * A peer that sends frames at random, right ones and wrong ones. `PROTOCOL_FUZZ_SEED=…` replays a run, `PROTOCOL_FUZZ_ROUNDS`
 * makes it longer.
 */

import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import { ProtocolError } from "../errors/index.ts";
import { encodeControlFrame } from "./control.ts";
import { encodeFrame } from "./frame.ts";
import { INITIAL_CREDIT, MAX_OPEN_STREAMS } from "./generated/limits.ts";
import type { Message } from "./generated/messages.ts";
import type { Stream } from "./stream.ts";
import { Streams } from "./streams.ts";

const exec: Message = {
  type: "Exec",
  argv: [],
  env: [],
  cwd: "",
  user: "",
  tty: false,
  rows: 0,
  cols: 0,
  stdin: "pipe",
  rlimits: [],
};

const said: readonly Message[] = [
  exec,
  { type: "Ping", nonce: 1 },
  { type: "WatchState" },
  { type: "Signal", signal: 9 },
  { type: "Next" },
  { type: "Release" },
  { type: "Credit", bytes: 1 },
  { type: "End" },
  { type: "StopSending" },
  { type: "Failure", code: "runtime", message: "", hint: "", details: "{}" },
];

/** xorshift32 (Marsaglia, "Xorshift RNGs", 2003). */
function seeded(seed: number): (limit: number) => number {
  let state = seed | 0 || 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return Math.floor(((state >>> 0) / 2 ** 32) * limit);
  };
}

test("whatever a client does with streams, the worst that happens is a ProtocolError, and little is held", async (context) => {
  const seed = Number(process.env["PROTOCOL_FUZZ_SEED"] ?? 20240229);
  context.diagnostic(`PROTOCOL_FUZZ_SEED=${seed}`);
  const random = seeded(seed);
  let survived = 0;
  const rounds = Number(process.env["PROTOCOL_FUZZ_ROUNDS"] ?? 1000);
  for (let round = 0; round < rounds; round++) {
    const open = new Set<Stream>();
    const [near, peer] = duplexPair();
    peer.resume();
    const closed = Promise.withResolvers<Error | null>();
    new Streams(
      near,
      { incoming: "client→supervisor" },
      {
        message: () => undefined,
        accept: (stream) => {
          open.add(stream);
          return {
            message: () => undefined,
            data: (_kind, payload) => {
              if (random(2) === 0) stream.consume(payload.length);
            },
            lost: () => undefined,
          };
        },
        reason: () => new Error("over"),
        closed: closed.resolve,
      },
    );
    let next = 1;
    for (let step = 1 + random(25); step > 0 && !near.destroyed; step--) {
      const message = said[random(said.length)] ?? exec;
      const opens = ["Exec", "Ping", "WatchState"].includes(message.type);
      // Mostly as it should be: a new number for what opens a stream, a command's for the rest.
      const id = random(15) === 0 ? random(next + 4) : opens || next === 1 ? next : 1;
      if (opens && id === next) next += 2;
      peer.write(
        random(3) === 0 && id > 0 && next > 1
          ? encodeFrame(id, random(12) === 0 ? 2 : 1, Buffer.alloc(1 + random(60_000)))
          : encodeControlFrame(id, next === 1 ? exec : message),
      );
      await new Promise(setImmediate);
      for (const stream of open) {
        assert.ok(stream.held <= INITIAL_CREDIT);
        if (random(30) === 0) stream.send({ type: "Failure", code: "", message: "", hint: "", details: "" });
      }
      assert.ok(open.size <= MAX_OPEN_STREAMS["client→supervisor"]);
    }
    peer.end();
    const error = await closed.promise;
    if (error === null) survived++;
    else assert.ok(error instanceof ProtocolError, String(error.stack));
  }
  assert.ok(survived > 0 && survived < rounds, `${survived} of ${rounds} kept to the rules`);
});
