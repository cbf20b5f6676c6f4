/** A guest that means harm: it gains nothing, and costs little. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { rounds, seeded } from "../../../test/support/fuzz.ts";
import { KeptSegments, packetOf } from "../../../test/support/tcp/guest-segment.ts";
import { opened, Script } from "../../../test/support/tcp/script.ts";
import { VirtualClock } from "../../../test/support/tcp/virtual-clock.ts";
import type { TcpConnection, TcpHandler } from "./connection.ts";
import { TcpGate } from "./tcp-gate.ts";

const quiet: TcpHandler = {
  data: () => undefined,
  ended: () => undefined,
  drained: () => undefined,
  acknowledged: () => undefined,
  closed: () => undefined,
};

const scripts: Readonly<Record<string, string>> = {
  "resets that guess are asked back, not too often (RFC 5961)": `
    ${opened}
    > R 2
    < A 1 ack 1
    > R 60000
    > R 400000
    > R -1
    + 100
    > R 5
    < A 1 ack 1
    > PA 1(10) ack 1 win 512
    = data 10
    < A 1 ack 11`,
  "a SYN inside is asked back": `
    ${opened}
    > S 0 win 65535
    < A 1 ack 1
    > S 100 win 65535
    > SA 1 ack 1 win 65535
    + 100
    > S 9 win 65535
    < A 1 ack 1
    > PA 1(10) ack 1 win 512
    = data 10
    < A 1 ack 11`,
  "acknowledgments of what was never sent, or long ago, count for nothing": `
    ${opened}
    . write 10
    < PA 1(10)
    > PA 1(10) ack 12 win 512
    < A 11 ack 1
    + 100
    > PA 1(10) ack -66000 win 512
    < A 11 ack 1
    > PA 1(10) ack 11 win 512
    = acked 10
    = data 10
    < A 11 ack 11`,
  "acknowledgments without end are not answered": `
    ${opened}
    > A 1 ack 1 win 512
    > A 1 ack 1 win 512
    > A 1 ack 1 win 512
    > A 1 ack 1 win 512
    > A 1 ack 1 win 512`,
};

for (const [name, steps] of Object.entries(scripts)) test(name, () => void new Script(1500).play(steps));

interface Flooded {
  readonly gate: TcpGate;
  readonly sender: KeptSegments;
  readonly clock: VirtualClock;
  readonly connections: TcpConnection[];
  abandoned: number;
}

function flooded(answer: "accept" | "wait", maxHalfOpen: number): Flooded {
  const sender = new KeptSegments(1500);
  const clock = new VirtualClock();
  const state: Flooded = {
    sender,
    clock,
    connections: [],
    abandoned: 0,
    gate: new TcpGate({
      sender,
      clock,
      maxHalfOpen,
      isChecksumRight: () => true,
      afterBatch: () => undefined,
      request: (request) => {
        request.onAbandoned(() => state.abandoned++);
        if (answer === "accept")
          state.connections.push(request.accept({ ...quiet, closed: () => state.abandoned++ }));
      },
    }),
  };
  return state;
}

for (const answer of ["wait", "accept"] as const)
  test(`a flood of SYNs that ${answer} for an answer: the oldest go first`, () => {
    const flood = flooded(answer, 64);
    for (let index = 0; index < 20_000; index++) {
      flood.gate.receive(
        packetOf({ from: 1 + (index % 60_000), to: 1 + (index & 7), flags: "S", sequence: index }),
      );
      flood.gate.batchEnd();
      flood.sender.sent.length = 0;
      assert.ok(flood.gate.counts.peers <= 64);
    }
    assert.deepEqual(flood.gate.counts, { peers: 64, halfOpen: 64, timeWait: 0 });
    assert.equal(flood.abandoned, 20_000 - 64);
    flood.clock.pass(200_000);
    assert.equal(flood.gate.counts.peers, answer === "accept" ? 0 : 64);
    flood.gate.close();
    assert.equal(flood.clock.timers, 0);
  });

test("connections that are opened and ended without end leave a bounded number behind, for a short time", () => {
  const flood = flooded("accept", 64);
  for (let index = 0; index < 5000; index++) {
    const from = 1 + index;
    const send = (flags: string, sequence: number, acknowledgment: number): void => {
      flood.gate.receive(packetOf({ from, to: 80, flags, sequence, acknowledgment }));
      flood.gate.batchEnd();
    };
    send("S", 0, 0);
    const ours = flood.sender.take()[0]?.sequence ?? 0;
    send("A", 1, ours + 1);
    flood.connections.pop()?.end();
    flood.gate.batchEnd();
    send("FA", 1, ours + 2);
    assert.equal(flood.sender.take().at(-1)?.acknowledgment, 2);
  }
  assert.deepEqual(flood.gate.counts, { peers: 2048, halfOpen: 0, timeWait: 2048 });
  flood.clock.pass(2000);
  assert.deepEqual(flood.gate.counts, { peers: 0, halfOpen: 0, timeWait: 0 });
  assert.equal(flood.clock.timers, 0);
});

test("a storm of segments that belong to nothing is not answered when nobody takes the answers", () => {
  const flood = flooded("wait", 64);
  flood.sender.room = 100;
  for (let index = 0; index < 10_000; index++)
    flood.gate.receive(
      packetOf({ from: 1 + (index % 60_000), to: 9, flags: "A", sequence: index, acknowledgment: index }),
    );
  flood.gate.batchEnd();
  assert.equal(flood.sender.sent.length, 100);
  assert.equal(flood.gate.counts.peers, 0);
});

test("random segments, from everywhere at once: nothing is thrown, and nothing grows", (context) => {
  const random = seeded(context);
  const flood = flooded("accept", 64);
  const live: TcpConnection[] = flood.connections;
  for (let index = 0; index < rounds(30_000); index++) {
    const options = Buffer.alloc(4 * random(11));
    for (let at = 0; at < options.length; at++) options[at] = random(4) === 0 ? random(256) : random(5);
    const last = flood.sender.take().at(-1);
    const near = last !== undefined && random(3) > 0;
    flood.gate.receive(
      packetOf({
        from: near ? last.to : 1 + random(30),
        to: near ? last.from : 1 + random(3),
        flags: Array.from("SAFRPU", (letter) =>
          random(3) === 0 || (letter === "A" && near) ? letter : "",
        ).join(""),
        sequence: near ? last.acknowledgment + random(3) - 1 : random(2 ** 32),
        acknowledgment: near ? last.sequence + last.data.length + random(3) : random(2 ** 32),
        window: random(65_536),
        options,
        data: Buffer.alloc(random(4) === 0 ? random(1400) : 0),
      }),
    );
    flood.gate.batchEnd();
    while (live.length > 90) live.shift()?.reset();
    if (random(10) === 0) live[random(live.length)]?.write(Buffer.alloc(1 + random(3000)));
    if (random(50) === 0) live[random(live.length)]?.end();
    if (random(20) === 0) flood.clock.pass(random(2000));
    // Nobody takes what the guest sends, nor does it what is written.
    const { received, queued } = flood.gate.memory;
    assert.ok(received >= 0 && received <= 64 << 20 && queued >= 0 && queued < 100 * 300_000);
  }
  for (const connection of live) connection.reset();
  flood.clock.pass(500_000);
  assert.deepEqual(flood.gate.counts, { peers: 0, halfOpen: 0, timeWait: 0 });
  assert.deepEqual(flood.gate.memory, { received: 0, queued: 0, limit: 64 << 20 });
  assert.equal(flood.clock.timers, 0);
});

test("truncated and mangled headers are dropped", (context) => {
  const random = seeded(context);
  const flood = flooded("wait", 64);
  const whole = packetOf({
    from: 1,
    to: 2,
    flags: "S",
    sequence: 0,
    options: Buffer.from("020405b401010303", "hex"),
  });
  for (let end = whole.payloadAt; end < whole.end; end++) flood.gate.receive({ ...whole, end });
  for (const words of [0, 1, 4, 8, 15]) {
    const buffer = Buffer.from(whole.buffer);
    buffer[whole.payloadAt + 12] = words << 4;
    flood.gate.receive({ ...whole, buffer });
  }
  for (const at of [0, 2]) {
    const buffer = Buffer.from(whole.buffer);
    buffer.writeUInt16BE(0, whole.payloadAt + at);
    flood.gate.receive({ ...whole, buffer });
  }
  assert.equal(flood.gate.counts.peers, 0);
  for (let round = 0; round < rounds(3000); round++) {
    const buffer = Buffer.from(whole.buffer);
    for (let changes = 1 + random(3); changes > 0; changes--)
      buffer[whole.payloadAt + random(buffer.length - whole.payloadAt)] = random(256);
    flood.gate.receive({ ...whole, buffer });
    flood.gate.batchEnd();
  }
  assert.ok(flood.gate.counts.halfOpen <= 64);
  flood.gate.close();
});

test("when the way to the guest is full, each connection has its turn, and what waits is bounded", () => {
  const flood = flooded("accept", 64);
  for (let from = 1; from <= 4; from++) {
    flood.gate.receive(
      packetOf({ from, to: 80, flags: "S", sequence: 0, options: Buffer.from("020405b401030307", "hex") }),
    );
    const ours = flood.sender.take()[0]?.sequence ?? 0;
    flood.gate.receive(
      packetOf({ from, to: 80, flags: "A", sequence: 1, acknowledgment: ours + 1, window: 65_535 }),
    );
    flood.gate.batchEnd();
  }
  flood.sender.room = 40;
  for (const connection of flood.connections) assert.equal(connection.write(Buffer.alloc(100_000)), true);
  flood.gate.batchEnd();
  const order: number[] = [];
  // The first one has the way for itself, until it is full.
  assert.deepEqual(new Set(flood.sender.sent.map(({ to }) => to)), new Set([1]));
  for (;;) {
    const taken = flood.sender.take();
    if (taken.length === 0) break;
    assert.ok(taken.length <= 40);
    order.push(...taken.map(({ to }) => to));
  }
  const turns = order.slice(40, 40 + 3 * 16);
  assert.deepEqual(
    turns,
    Array.from({ length: turns.length }, (_, index) => [1, 2, 3, 4][(index >> 2) % 4]),
  );
  assert.equal(order.length, 4 * Math.ceil(100_000 / 1460));
  flood.gate.close();
});

test("a thousand idle connections have no timers and little memory", (context) => {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as () => void;
  const count = 1000;
  const flood = flooded("accept", 2000);
  const measure = (): number => {
    gc();
    return process.memoryUsage().heapUsed;
  };
  const open = (base: number): void => {
    for (let from = base; from < base + count; from++) {
      flood.gate.receive(packetOf({ from, to: 80, flags: "S", sequence: 0 }));
      const ours = flood.sender.take()[0]?.sequence ?? 0;
      flood.gate.receive(
        packetOf({
          from,
          to: 80,
          flags: "PA",
          sequence: 1,
          acknowledgment: ours + 1,
          data: Buffer.alloc(100),
        }),
      );
      flood.gate.batchEnd();
      const connection = flood.connections.at(-1);
      connection?.consume(100);
      connection?.write(Buffer.alloc(100));
      flood.gate.batchEnd();
      flood.sender.take();
      flood.gate.receive(packetOf({ from, to: 80, flags: "A", sequence: 101, acknowledgment: ours + 101 }));
      flood.gate.batchEnd();
    }
  };
  open(1);
  const before = measure();
  open(10_000);
  const each = (measure() - before) / count;
  flood.clock.pass(1000);
  assert.equal(flood.clock.timers, 0);
  assert.equal(flood.gate.counts.peers, 2 * count);
  context.diagnostic(`${Math.round(each)} bytes each`);
  assert.ok(each < 3000, `${each} bytes each`);
  flood.gate.close();
});
