import assert from "node:assert/strict";
import { test } from "node:test";
import { Script } from "../../../test/support/tcp/script.ts";

/** The guest has connected: both sides stand at 1. */
const opened = `
  > S 0 win 65535 mss 1460 ws 7
  . accept
  < SA 0 ack 1 win 65535 mss 1460 ws 3
  > A 1 ack 1 win 512
  = established
`;

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
};

for (const [name, steps] of Object.entries(gone)) test(name, () => assertGone(script(steps)));
