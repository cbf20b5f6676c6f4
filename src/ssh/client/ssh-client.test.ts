import assert from "node:assert/strict";
import { test } from "node:test";
import { Operation } from "../../host/operation.ts";
import type { GuestCommand, GuestEvent, SshGuest } from "../guest.ts";
import { SshClient } from "./ssh-client.ts";

/** A guest whose commands say this, note what they are told, and end with their input. */
function guestSaying(events: readonly GuestEvent[], took: Buffer[] = [], signals: number[] = []): SshGuest {
  const start = async (): Promise<GuestCommand> => {
    const left = [...events];
    const closed = Promise.withResolvers<GuestEvent>();
    return {
      recv: async () => left.shift() ?? (await closed.promise),
      takeStdin: () => ({
        write: async (data) => void took.push(Buffer.from(data)),
        close: async () => closed.resolve({ kind: "exited", code: 0 }),
      }),
      wait: async () => undefined,
      signal: async (number) => void signals.push(number),
      resize: async () => undefined,
      release: async () => undefined,
      exitSignal: null,
    };
  };
  const ended = (signal: AbortSignal): Promise<void> =>
    new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(new Error("nobody asks any more")));
    });
  return {
    ...{ name: "fake", shell: "/bin/sh", start, ended },
    readUsers: async () => "root:x:0:0::/root:/bin/sh\n",
    helper: async () => "/helper",
  };
}

async function open(guest: SshGuest): Promise<SshClient> {
  const terminal = {
    size: () => ({ rows: 24, cols: 80, type: "xterm" }),
    attach: async () => 0,
    check: () => undefined,
  };
  const settings = { guest, user: "root", term: null, sftp: true, inactivityMs: 0, terminal };
  return await Operation.run("open a client", {}, (operation) => SshClient.open(settings, operation));
}

test("both outputs come whole, however much of one is left to read when the other has ended", async () => {
  const stdout = Array.from({ length: 40 }, (_, index) => Buffer.alloc(100_000, index));
  await using client = await open(
    guestSaying([
      ...stdout.map((data): GuestEvent => ({ kind: "stdout", data })),
      { kind: "stderr", data: Buffer.from("no\n") },
      { kind: "exited", code: 6 },
    ]),
  );
  const heard = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  for await (const event of await client.start("anything")) {
    if (event.kind === "exited") assert.equal(event.code, 6);
    else heard[event.kind].push(event.data);
    // Its reader is slow.
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(String(Buffer.concat(heard.stderr)), "no\n");
  assert.ok(Buffer.concat(heard.stdout).equals(Buffer.concat(stdout)));
});

test("much can be written to a command, and signals go to it by all names that SSH has", async (t) => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  process.on("warning", onWarning);
  t.after(() => process.off("warning", onWarning));
  const [took, signals] = [[] as Buffer[], [] as number[]];
  await using client = await open(guestSaying([], took, signals));
  const command = await client.start("anything");
  const stdin = command.takeStdin();
  const pieces = Array.from({ length: 100 }, (_, index) => Buffer.alloc(1000, index));
  for (const piece of pieces) await stdin.write(piece);
  await command.signal(10);
  await assert.rejects(command.signal(19), /no name for signal 19/);
  await stdin.close();
  assert.equal((await command.wait()).code, 0);
  assert.deepEqual(signals, [10]);
  assert.ok(Buffer.concat(took).equals(Buffer.concat(pieces)));
  assert.deepEqual(warnings, []);
});
