/** What is sent again, when, and what waits for a window: tables of segments. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { opened, Script } from "../../../test/support/tcp/script.ts";

const scripts: Readonly<Record<string, string>> = {
  "what is not acknowledged comes again, later each time, and is given up": `
    ${opened}
    . write 100
    < PA 1(100)
    + 500
    < PA 1(100)
    + 1000
    < PA 1(100)
    + 2000
    < PA 1(100)
    + 4000
    < PA 1(100)
    + 8000
    < PA 1(100)
    + 16000
    < PA 1(100)
    + 32000
    < PA 1(100)
    + 60000
    < PA 1(100)
    + 60000
    < PA 1(100)
    + 60000
    < PA 1(100)
    + 60000
    < RA 101 ack 1
    = closed timeout`,
  "after what was lost, the rest is sent again as far as it was lost": `
    ${opened}
    . write 4380
    < A 1(1460)
    < A 1461(1460)
    < PA 2921(1460)
    + 500
    < A 1(1460)
    > A 1 ack 1461 win 512
    = acked 1460
    < A 1461(1460)
    > A 1 ack 4381 win 512
    = acked 2920
    > R 1
    = closed reset`,
  "three duplicates say what is missing, and only once": `
    ${opened}
    . write 7300
    < A 1(1460)
    < A 1461(1460)
    < A 2921(1460)
    < A 4381(1460)
    < PA 5841(1460)
    > A 1 ack 1461 win 512
    = acked 1460
    > A 1 ack 1461 win 512
    > A 1 ack 1461 win 512
    > A 1 ack 1461 win 512
    < A 1461(1460)
    > A 1 ack 1461 win 512
    > A 1 ack 1461 win 512
    > A 1 ack 4381 win 512    # the next is missing too (RFC 6582)
    = acked 2920
    < A 4381(1460)
    > A 1 ack 7301 win 512
    = acked 2920
    > R 1
    = closed reset`,
  "a changed window is no duplicate": `
    ${opened}
    . write 100
    < PA 1(100)
    > A 1 ack 1 win 511
    > A 1 ack 1 win 512
    > A 1 ack 1 win 513
    > A 1 ack 1 win 514
    > A 1 ack 101 win 512
    = acked 100
    > R 1
    = closed reset`,
  "an end comes again": `
    ${opened}
    . write 10
    < PA 1(10)
    . end
    < FA 11
    + 500
    < FPA 1(10)
    > A 1 ack 11 win 512
    = acked 10
    < FA 11
    > A 1 ack 12 win 512
    > R 1
    = closed reset`,
  "a closed window is asked about, as long as somebody answers": `
    ${opened}
    > A 1 ack 1 win 0
    . write 100
    + 500
    < A 0 ack 1
    > A 1 ack 1 win 0
    + 1000
    < A 0 ack 1
    > A 1 ack 1 win 0
    + 2000
    < A 0 ack 1
    > A 1 ack 1 win 0
    + 4000
    < A 0 ack 1
    > A 1 ack 1 win 512
    < PA 1(100)
    > A 1 ack 101 win 512
    = acked 100
    > R 1
    = closed reset`,
  "a closed window of somebody who is gone is given up": `
    ${opened}
    > A 1 ack 1 win 0
    . write 100
    + 500
    < A 0
    + 1000
    < A 0
    + 2000
    < A 0
    + 4000
    < A 0
    + 8000
    < A 0
    + 16000
    < A 0
    + 32000
    < A 0
    + 60000
    < A 0
    + 60000
    < A 0
    + 60000
    < A 0
    + 60000
    < RA 1
    = closed timeout`,
  "a window that closes over what is on its way": `
    ${opened}
    . write 200
    < PA 1(200)
    > A 1 ack 101 win 0
    = acked 100
    + 500
    < PA 101(100)
    > A 1 ack 101 win 0
    + 1000
    < PA 101(100)
    > A 1 ack 101 win 512   # it has dropped them, so they come at once
    < PA 101(100)
    > A 1 ack 201 win 512
    = acked 100
    > R 1
    = closed reset`,
  "an end waits for a window too": `
    ${opened}
    > A 1 ack 1 win 0
    . end
    + 500
    < A 0
    > A 1 ack 1 win 512
    < FA 1
    > R 1
    = closed reset`,
  "small windows are left alone for a while: no silly segments": `
    > S 0 win 4000 mss 1460
    . accept
    < SA 0 ack 1
    > A 1 ack 1 win 4000
    = established
    . write 5000
    < A 1(1460)
    < A 1461(1460)
    > A 1 ack 2921 win 100
    = acked 2920
    + 500
    < A 2921(100)
    > A 1 ack 3021 win 2000
    = acked 100
    < A 3021(1460)
    < PA 4481(520)
    > A 1 ack 5001 win 2000
    = acked 1980
    > R 1
    = closed reset`,
};

for (const [name, steps] of Object.entries(scripts))
  test(name, () => {
    const played = new Script(1500).play(steps);
    played.clock.pass(10_000);
    played.nothingMore();
    assert.deepEqual(played.gate.counts, { peers: 0, halfOpen: 0, timeWait: 0 });
    assert.equal(played.clock.timers, 0);
  });

test("a window of more than 64 KiB is used, in whole segments and not beyond its end", () => {
  const played = new Script(1500).play(opened).play("> A 1 ack 1 win 1024");
  const { connection, sender } = played;
  connection.write(Buffer.alloc(300_000));
  played.gate.batchEnd();
  const bytes = sender.sent.reduce((sum, { data }) => sum + data.length, 0);
  assert.equal(bytes, 131_072 - (131_072 % 1460));
});

test("an idle connection has no timers, and its user's keep-alives are answered", () => {
  const played = new Script(1500).play(`
    ${opened}
    . write 10
    < PA 1(10)
    > A 1 ack 11 win 512
    = acked 10
    + 1000`);
  assert.equal(played.clock.timers, 0);
  played.play(`
    + 7200000
    > A 0 ack 11 win 512
    < A 11 ack 1
    + 75000
    > A 0 ack 11 win 512
    < A 11 ack 1
    > A 0(1) ack 11 win 512
    < A 11 ack 1`);
  assert.equal(played.clock.timers, 0);
});

test("a time that is measured counts: a slow guest is not sent everything twice", () => {
  const played = new Script(1500).play(opened);
  let place = 1;
  for (let round = 0; round < 8; round++) {
    played.play(`
      . write 10
      < PA ${place}(10)
      + 400
      > A 1 ack ${place + 10} win 512
      = acked 10`);
    place += 10;
  }
  played.play(`
    . write 10
    < PA ${place}(10)
    + 450
    > A 1 ack ${place + 10} win 512
    = acked 10`);
});
