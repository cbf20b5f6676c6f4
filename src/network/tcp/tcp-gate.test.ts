import assert from "node:assert/strict";
import { test } from "node:test";
import { KeptSegments, outside, packetOf } from "../../../test/support/tcp/guest-segment.ts";
import { opened, Script } from "../../../test/support/tcp/script.ts";
import { IpAddress } from "../../host/ip/address.ts";
import type { TcpRequest } from "./connection.ts";
import { TcpGate } from "./tcp-gate.ts";

function script(steps: string, options: { mtu?: number; maxHalfOpen?: number } = {}): Script {
  return new Script(options.mtu ?? 1500, options).play(steps);
}

/** Nothing is left: neither state nor timers, once TIME-WAIT is over. */
function assertGone(played: Script): void {
  played.clock.pass(10_000);
  played.nothingMore();
  assert.deepEqual(played.gate.counts, { peers: 0, halfOpen: 0, timeWait: 0 });
  assert.equal(played.clock.timers, 0);
}

const gone: Readonly<Record<string, string>> = {
  "a conversation, ended by the guest first": `
    ${opened}
    > PA 1(100) ack 1 win 512
    = data 100
    < A 1 ack 101
    . write 500
    < PA 1(500) ack 101
    > A 101 ack 501 win 512
    = acked 500
    > FA 101 ack 501 win 512
    = ended
    < A 501 ack 102
    . write 10
    < PA 501(10) ack 102
    . end
    < FA 511 ack 102
    > A 102 ack 512 win 512
    = acked 10
    = closed closed`,
  "a conversation, ended by us first": `
    ${opened}
    . write 10
    < PA 1(10) ack 1
    . end
    < FA 11 ack 1
    > A 1 ack 12 win 512
    = acked 10
    > PA 1(5) ack 12 win 512
    = data 5
    < A 12 ack 6
    > FA 6 ack 12 win 512
    = ended
    < A 12 ack 7
    = closed closed
    > FA 6 ack 12 win 512  # our last acknowledgment was lost
    < A 12 ack 7`,
  "both end at once": `
    ${opened}
    . end
    < FA 1 ack 1
    > FA 1 ack 1 win 512
    = ended
    < A 2 ack 2
    > A 2 ack 2 win 512
    = closed closed`,
  "the guest's end acknowledges ours": `
    ${opened}
    . end
    < FA 1 ack 1
    > FA 1 ack 2 win 512
    = ended
    = closed closed
    < A 2 ack 2`,
  refused: `
    > S 0 win 65535
    . refuse reset
    < RA 0 ack 1`,
  "not answered": `
    > S 0 win 65535
    > S 0 win 65535
    . refuse drop`,
  "the guest takes its request back": `
    > S 0 win 65535
    > R 1 
    = abandoned`,
  "an RST at the exact number ends it": `
    ${opened}
    > R 1
    = closed reset`,
  "we reset it": `
    ${opened}
    . write 10
    < PA 1(10) ack 1
    . reset
    < RA 11 ack 1`,
  "the guest resets behind its end": `
    ${opened}
    > FA 1 ack 1 win 512
    = ended
    < A 1 ack 2
    > R 2
    = closed reset`,
  "half of it goes on for long": `
    ${opened}
    > FA 1 ack 1 win 512
    = ended
    < A 1 ack 2
    + 600000
    . write 3000
    < A 1(1460) ack 2
    < A 1461(1460) ack 2
    < PA 2921(80) ack 2
    > A 2 ack 3001 win 512
    = acked 3000
    . end
    < FA 3001 ack 2
    > A 2 ack 3002 win 512
    = closed closed`,
  "the end goes with the last bytes": `
    ${opened}
    . congest
    . write 100
    . end
    . drain
    < FPA 1(100) ack 1
    > FA 1 ack 102 win 512
    = acked 100
    = ended
    = closed closed
    < A 102 ack 2`,
  "we call, and it is taken": `
    . connect
    < S 0 win 65535 mss 1460 ws 3
    > SA 0 ack 1 win 65535 mss 1460 ws 7
    = established
    < A 1 ack 1
    > PA 1(4) ack 1 win 512
    = data 4
    < A 1 ack 5
    > FA 5 ack 1 win 512
    = ended
    < A 1 ack 6
    . end
    < FA 1 ack 6
    > A 6 ack 2 win 512
    = closed closed`,
  "we call, and it is refused": `
    . connect
    < S 0
    > RA 0 ack 7        # of something else
    > R 0
    > RA 0 ack 1
    = closed reset`,
  "we call, and nobody answers": `
    . connect
    < S 0
    + 1000
    < S 0
    + 2000
    < S 0
    + 4000
    < S 0
    + 8000
    < S 0
    + 16000
    < S 0
    + 32000
    < S 0
    + 60000
    = closed timeout`,
  "an answer to another call is reset": `
    . connect
    < S 0
    > SA 0 ack 9 win 65535
    < R 9
    > RA 0 ack 1
    = closed reset`,
  "both call at once": `
    . connect
    < S 0
    > S 0 win 65535 mss 1460 ws 7
    < SA 0 ack 1
    > A 1 ack 1 win 512
    = established
    > R 1
    = closed reset`,
  "the guest does not finish the handshake": `
    > S 0 win 65535
    . accept
    < SA 0 ack 1
    > S 0 win 65535      # our answer was lost
    < SA 0 ack 1
    + 1000
    < SA 0 ack 1
    + 2000
    < SA 0 ack 1
    + 4000
    < SA 0 ack 1
    + 8000
    < SA 0 ack 1
    + 16000
    < SA 0 ack 1
    + 32000
    < SA 0 ack 1
    + 60000
    < RA 1 ack 1
    = closed timeout`,
  "the handshake is finished with a wrong number": `
    > S 0 win 65535
    . accept
    < SA 0 ack 1
    > A 1 ack 5 win 512
    < R 5
    > A 1 ack 0 win 512
    < R 0
    > R 1
    = closed reset`,
  "the handshake ends with data": `
    > S 0 win 65535 mss 1460
    . accept
    < SA 0 ack 1
    > PA 1(20) ack 1 win 512
    = established
    = data 20
    < A 1 ack 21
    > R 21
    = closed reset`,
  "data with a SYN come again": `
    > S 0(20) win 65535 mss 1460
    . accept
    < SA 0 ack 1
    > PA 1(20) ack 1 win 512
    = established
    = data 20
    < A 1 ack 21
    > R 21
    = closed reset`,
  "another attempt from the same port": `
    > S 0 win 65535
    > S 5000 win 65535
    = abandoned
    > R 5001
    = abandoned`,
  "segments that belong to nothing": `
    > A 1 ack 77 win 512
    < R 77
    > PA 1(10) ack 78 win 512
    < R 78
    > FA 1 ack 79 win 512
    < R 79
    > SA 1 ack 80 win 512
    < R 80
    > R 1
    > RA 1 ack 80`,
  "contradictions are dropped": `
    > SF 0
    > FPU 0
    > P 0
    > U 0
    > SR 0`,
};

test("options that lie about their length count for nothing", () => {
  for (const options of [
    [2],
    [2, 0],
    [2, 1],
    [2, 40, 1, 1],
    [3, 2],
    [2, 3, 1],
    [254, 255, 0, 0],
    [1, 1, 1, 2],
  ]) {
    const played = new Script(1500);
    while (options.length % 4 !== 0) options.push(1);
    played.raw("S", Uint8Array.from(options));
    played.play(`
      . accept
      < SA 0 ack 1 mss 1460 ws -1
      > A 1 ack 1 win 65535
      = established
      . write 536
      < PA 1(536)
      . write 537
      < A 537(536)
      < PA 1073(1)
      > R 1
      = closed reset`);
    assertGone(played);
  }
});

test("both families say how large their segments may be, at both MTUs", () => {
  const six = IpAddress.parse("2001:db8::1");
  assert.ok(six !== null);
  for (const [mtu, address, expected] of [
    [1500, outside, 1460],
    [1500, six, 1440],
    [65_520, outside, 65_480],
    [65_520, six, 65_460],
    [1280, six, 1220],
  ] as const) {
    const played = new Script(mtu);
    played.raw("S", Uint8Array.of(2, 4, 0xff, 0xff), address);
    played.play(`
      . accept
      < SA 0 ack 1 mss ${expected}`);
    assert.equal(played.connection.maxSegment, expected);
    assert.equal(played.connection.remote.address.toString(), address.toString());
  }
});

test("the ends of a connection in TIME-WAIT are free for a newer one, ours or the guest's", () => {
  const closing = `
    ${opened}
    . end
    < FA 1 ack 1
    > FA 1 ack 2 win 512
    = ended
    = closed closed
    < A 2 ack 2`;
  const again = script(`
    ${closing}
    > S 2 win 65535         # not newer: answered with what was last
    < A 2 ack 2
    > A 2 ack 2 win 512     # asks for nothing
    > S 3 win 65535 mss 1460 ws 7
    . accept
    < SA 0 ack 4
    > R 4
    = closed reset`);
  assertGone(again);
  assertGone(
    script(`
    ${closing}
    . connect
    < S 0
    > RA 0 ack 1
    = closed reset`),
  );
  const exact = script(`
    ${closing}
    > R 1
    > R 2`);
  assert.equal(exact.gate.counts.peers, 0);
});

test("there is only one connection with the same ends", () => {
  const played = script(opened);
  assert.throws(() => played.play(". connect"), RangeError);
});

test("after the end of all, nothing is said any more", () => {
  const played = script(`
    ${opened}
    . write 5000
    < A 1(1460)
    < A 1461(1460)
    < A 2921(1460)
    < PA 4381(620)`);
  const { connection } = played;
  played.gate.close();
  connection.write(Buffer.alloc(10));
  connection.end();
  connection.reset();
  connection.consume(10);
  assertGone(played);
});

test("who takes what the guest has taken back is told so", async () => {
  const requests: TcpRequest[] = [];
  const sender = new KeptSegments(1500);
  const gate = new TcpGate({
    sender,
    isChecksumRight: () => true,
    request: (request) => void requests.push(request),
  });
  gate.receive(packetOf({ from: 1, to: 2, flags: "S", sequence: 7 }));
  gate.receive(packetOf({ from: 1, to: 2, flags: "R", sequence: 8 }));
  const how = await new Promise((resolve) => {
    const ignored = (): void => undefined;
    requests[0]?.accept({
      data: ignored,
      ended: ignored,
      drained: ignored,
      acknowledged: ignored,
      closed: resolve,
    });
  });
  assert.equal(how, "reset");
  assert.equal(sender.sent.length, 0);
  gate.close();
});

for (const [name, steps] of Object.entries(gone)) test(name, () => assertGone(script(steps)));
