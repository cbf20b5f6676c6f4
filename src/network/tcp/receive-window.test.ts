/** What is acknowledged when, and how much the guest may send: tables of segments. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { opened, Script } from "../../../test/support/tcp/script.ts";

/** Something was said already: the window is as large as it becomes. */
const warm = `
  ${opened}
  > PA 1(10) ack 1 win 512
  = data 10
  < A 1 ack 11`;

const scripts: Readonly<Record<string, string>> = {
  "what waits for an answer is acknowledged at once": `
    ${opened}
    > PA 1(10) ack 1 win 512
    = data 10
    < A 1 ack 11`,
  "segments that came together have one acknowledgment": `
    ${opened}
    > A 1(1460) ack 1 win 512 ..
    = data 1460
    > A 1461(1460) ack 1 win 512 ..
    = data 1460
    > PA 2921(1000) ack 1 win 512
    = data 1000
    < A 1 ack 3921`,
  "one of many waits for more, but not for long": `
    ${warm}
    > A 11(1460) ack 1 win 512
    = data 1460
    + 9
    + 1
    < A 1 ack 1471
    > A 1471(1460) ack 1 win 512
    = data 1460
    > A 2931(1460) ack 1 win 512
    = data 1460
    > A 4391(1460) ack 1 win 512
    = data 1460
    > A 5851(1460) ack 1 win 512
    = data 1460
    < A 1 ack 7311`,
  "our answer carries it, and the next one waits for our answer": `
    ${warm}
    > A 11(1460) ack 1 win 512
    = data 1460
    . write 20
    < PA 1(20) ack 1471
    > PA 1471(10) ack 21 win 512
    = acked 20
    = data 10
    . write 20
    < PA 21(20) ack 1481
    > PA 1481(10) ack 41 win 512
    = acked 20
    = data 10
    + 10
    < A 41 ack 1491               # it did not come this time
    > PA 1491(10) ack 41 win 512
    = data 10
    < A 41 ack 1501`,
  "too early: each is answered, and all is there in the end": `
    ${opened}
    > A 11(10) ack 1 win 512
    < A 1 ack 1
    > A 31(10) ack 1 win 512
    < A 1 ack 1
    > FA 41 ack 1 win 512
    < A 1 ack 1
    > A 21(10) ack 1 win 512
    < A 1 ack 1
    > A 1(10) ack 1 win 512
    = data 10
    = data 10
    = data 10
    = data 10
    = ended
    < A 1 ack 42`,
  "what came already is acknowledged again": `
    ${opened}
    > PA 1(10) ack 1 win 512
    = data 10
    < A 1 ack 11
    > PA 1(10) ack 1 win 512
    < A 1 ack 11
    > PA 6(10) ack 1 win 512
    = data 5
    < A 1 ack 16`,
  "urgent bytes are bytes like others": `
    ${opened}
    > PUA 1(10) ack 1 win 512
    = data 10
    < A 1 ack 11`,
};

for (const [name, steps] of Object.entries(scripts)) test(name, () => void new Script(1500).play(steps));

test("a user who takes nothing has the guest stop, and go on when it takes enough", () => {
  const played = new Script(1500).play(opened);
  played.autoConsume = false;
  const { sender, clock, gate } = played;
  let place = 1;
  let window = 32_768 * 8;
  const seen: number[] = [];
  while (window >= 1460) {
    played.play(
      `
      > A ${place}(1460) ack 1 win 512
      = data 1460
    `.trim(),
    );
    place += 1460;
    clock.pass(10);
    const last = sender.sent.splice(0).at(-1);
    assert.ok(last !== undefined);
    window = last.window * 8;
    seen.push(window);
    assert.ok(seen.length < 1000);
  }
  // Offered once, 256 KiB in all, and kept to.
  assert.equal(seen.length, Math.floor((256 * 1024) / 1460));
  // What does not fit is not taken, and answered.
  played.play(`
    > A ${place}(1460) ack 1 win 512
    = data ${256 * 1024 - (place - 1)}
    < A 1 ack ${256 * 1024 + 1} win 0
    > A ${256 * 1024 + 1}(1) ack 1 win 512
    < A 1 ack ${256 * 1024 + 1} win 0
    . consume 1000
    . consume 459
    . consume 1
    < A 1 ack ${256 * 1024 + 1} win 182
    . consume 1460
    < A 1 ack ${256 * 1024 + 1} win 365`);
  gate.close();
});

test("without scaling the window stays below 64 KiB", () => {
  const played = new Script(1500);
  played.autoConsume = false;
  played.play(`
    > S 0 win 65535 mss 1460
    . accept
    < SA 0 ack 1 win 65535 ws -1
    > A 1 ack 1 win 65535
    = established
    > PA 1(1000) ack 1 win 65535
    = data 1000
    < A 1 ack 1001 win 64535
    . consume 1000
    > PA 65530(1460) ack 1 win 65535
    < A 1 ack 1001
    > PA 66537(1460) ack 1 win 65535
    < A 1 ack 1001`);
});

test("memory of all together: from half of it on, each has little", () => {
  const played = new Script(1500, { memory: 20_000 });
  played.autoConsume = false;
  played.play(`
    ${opened}
    > PA 1(1460) ack 1 win 512
    = data 1460
    < A 1 ack 1461`);
  for (let place = 1461; place < 14_000; place += 1460)
    played.play(`
      > PA ${place}(1460) ack 1 win 512
      = data 1460
      < A 1 ack ${place + 1460}`);
  // The window that was offered stays, and is not offered anew.
  played.play(`
    . consume 1460
    . consume 1460
    > PA 14601(1000) ack 1 win 512
    = data 1000
    < A 1 ack 15601`);
  // More than all may have: what is out of order is not kept.
  for (let place = 20_000; place < 60_000; place += 1460)
    played.play(`
      > A ${place}(1460) ack 1 win 512
      < A 1 ack 15601`);
  const { received } = played.gate.memory;
  assert.ok(received > 18_000 && received <= 20_000 + 1460, `${received}`);
});

test("who writes more than should wait is told, and told again when half of it is gone", () => {
  const played = new Script(1500).play(opened).play("> A 1 ack 1 win 8");
  const { connection, gate, sender } = played;
  assert.equal(connection.write(Buffer.alloc(200_000)), true);
  assert.equal(connection.write(Buffer.alloc(100_000)), false);
  gate.batchEnd();
  sender.sent.length = 0;
  // Many small pieces cost more than their bytes.
  const other = new Script(1500).play(opened).play("> A 1 ack 1 win 0");
  let pieces = 0;
  while (other.connection.write(Buffer.alloc(1))) pieces++;
  assert.ok(pieces > 500 && pieces < 1100, `${pieces}`);
  assert.equal(gate.memory.queued, 300_000);
  connection.reset();
  assert.equal(gate.memory.queued, 0);
  for (const { clock, gate: one } of [played, other]) {
    one.close();
    assert.equal(clock.timers, 0);
  }
});
