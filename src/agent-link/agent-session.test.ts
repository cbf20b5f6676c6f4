import assert from "node:assert/strict";
import { test } from "node:test";
import { ProtocolError } from "../errors/index.ts";
import { INITIAL_CREDIT, MAX_DATA_PAYLOAD } from "../protocol/generated/limits.ts";
import {
  breaksTheRules,
  connect,
  control,
  exited,
  output,
  outputsEnded,
  recorder,
  request,
  started,
} from "../../test/support/talking-guest.ts";

const onSession: Record<string, [Buffer[], RegExp]> = {
  "output before it started": [[output(1)], /has not started/],
  "an end before it started": [[exited], /had not started/],
  "started twice": [[started, started], /twice/],
  "failed after it started": [
    [started, control(1, { type: "ExecFailed", stage: "exec", errno: 2, message: "" })],
    /that it had started/,
  ],
  "ended twice": [[started, exited, exited], /ended a command twice/],
  "outputs that end before it": [[started, outputsEnded], /outputs of a command that goes on/],
  "output after the end of its outputs": [
    [started, exited, outputsEnded, output(1)],
    /stream 1, which is not open/,
  ],
  "more output than it has credit for": [
    [
      started,
      ...Array.from({ length: INITIAL_CREDIT / MAX_DATA_PAYLOAD }, () => output(MAX_DATA_PAYLOAD)),
      output(1),
    ],
    /1 bytes with credit for 0/,
  ],
  "credit for what was never sent": [[started, control(1, { type: "Credit", bytes: 1 })], /never earned/],
  "credit for nothing": [[started, control(1, { type: "Credit", bytes: 0 })], /never earned/],
  "stdin closed twice": [
    [started, control(1, { type: "StopSending" }), control(1, { type: "StopSending" })],
    /said twice: StopSending/,
  ],
  "an end of data that nobody can send any more of": [
    [started, control(1, { type: "End" }), control(1, { type: "End" })],
    /said twice: End/,
  ],
  "output after its end was said": [[started, control(1, { type: "End" }), output(1)], /data after its end/],
  "credit beyond any window": [
    [started, control(1, { type: "Credit", bytes: 4_000_000_000 })],
    /never earned/,
  ],
};

for (const [what, [frames, message]] of Object.entries(onSession)) {
  test(`a command: ${what}: the connection ends, every command is told`, async (t) => {
    const { socket, link, lost } = await connect(t);
    const first = recorder();
    const second = recorder();
    link.exec(request, first.sink);
    link.exec(request, second.sink);
    socket.write(Buffer.concat(frames));
    await breaksTheRules(lost, message);
    assert.ok((await second.lost) instanceof ProtocolError);
    const ends = first.heard.filter((heard) => /^(outputs ended|failed|lost)/.test(heard));
    assert.equal(ends.length, 1, first.heard.join());
  });
}

test("credit that was given again can be used again, and no more", async (t) => {
  const { socket, link, lost } = await connect(t);
  const { sink, heard } = recorder();
  const session = link.exec(request, sink);
  socket.write(started);
  for (let window = 0; window < 3; window++) {
    for (let sent = 0; sent < INITIAL_CREDIT; sent += MAX_DATA_PAYLOAD)
      socket.write(output(MAX_DATA_PAYLOAD));
    const frames = ((window + 1) * INITIAL_CREDIT) / MAX_DATA_PAYLOAD;
    while (heard.length < 1 + frames) await new Promise(setImmediate);
    assert.equal(session.outputOwed, INITIAL_CREDIT);
    // More than is owed is not given.
    session.grantOutput(INITIAL_CREDIT * 2);
    assert.equal(session.outputOwed, 0);
  }
  // What others write after its end counts as what it wrote itself.
  const piece = MAX_DATA_PAYLOAD / 2;
  socket.write(Buffer.concat([output(piece), exited, output(piece), outputsEnded]));
  socket.end();
  assert.equal(await lost, null);
  assert.deepEqual(heard.slice(-4), [`output 1 ${piece}`, "exited 0", `output 1 ${piece}`, "outputs ended"]);
});

test("a command that the guest aborts is lost, and nothing else is", async (t) => {
  const { socket, link, lost } = await connect(t);
  const { sink, heard, lost: why } = recorder();
  link.exec(request, sink);
  const failure = {
    type: "Failure",
    code: "bootStart",
    message: "no more",
    hint: "",
    details: "no JSON",
  } as const;
  socket.write(Buffer.concat([started, control(1, failure)]));
  assert.match(String(await why), /no more/);
  assert.deepEqual(heard, ["started 7", "lost"]);
  const pinged = link.ping();
  socket.write(control(3, { type: "Pong", nonce: 1 }));
  await pinged;
  socket.end();
  assert.equal(await lost, null);
});
