import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  InvalidConfigError,
  Sandbox,
  SandboxNotRunningError,
  type EventData,
  type ExecHandle,
} from "../../../src/index.ts";
import { timeout } from "../lifecycle-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

// What programs in a guest tell the host, and are told, in one sandbox.
useTemporaryHome();

let sandbox: Sandbox;
before(async () => {
  sandbox = await Sandbox.builder("events").image("localhost/base").memory(256).create();
});
after(() => sandbox.stop());

/** So many events; each without its time. */
async function take(events: AsyncIterator<EventData>, count: number): Promise<object[]> {
  const taken: object[] = [];
  while (taken.length < count) {
    const next = await events.next();
    if (next.done === true) break;
    const { time: _, ...rest } = next.value;
    taken.push(rest);
  }
  return taken;
}

/** Asks for a name at the socket, as a program does, and is there when it says so. */
async function listener(names: string): Promise<{ program: ExecHandle; line(): Promise<string> }> {
  const program = await sandbox.execStreamWith("nc", (options) =>
    options.args(["local:/run/agent.sock"]).stdinPipe(),
  );
  let text = "";
  const line = async (): Promise<string> => {
    while (!text.includes("\n")) {
      const event = await program.recv();
      assert.ok(event !== null);
      if (event.kind === "stdout") text += Buffer.from(event.data).toString();
    }
    const end = text.indexOf("\n");
    const first = text.slice(0, end);
    text = text.slice(end + 1);
    return first;
  };
  await program.takeStdin()?.write(`{"subscribe":${names}}\n`);
  return { program, line };
}

test("a program tells of events, which come in their order", { timeout }, async () => {
  await using events = sandbox.events({ names: ["first", "second*"] });
  await events.ready;
  const output = await sandbox.shell(
    `msb-emit unheard; msb-emit first; msb-emit second '{"a": [1, "ü\\n"]}'; echo '{"b":\n2}' | msb-emit second:more -`,
  );
  assert.equal(output.stderr(), "");
  assert.deepEqual(await take(events, 3), [
    { event: "first", kind: "guest" },
    { event: "second", kind: "guest", data: { a: [1, "ü\n"] } },
    { event: "second:more", kind: "guest", data: { b: 2 } },
  ]);
});
