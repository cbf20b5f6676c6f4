import "../../internet/namespace.ts";
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Sandbox } from "../../../src/index.ts";
import { places } from "../../internet/places.ts";
import { SecretServer } from "../../internet/secret-server.ts";
import { processesGone } from "../lifecycle-support.ts";
import { onTheInternet, said, useInternet } from "../network/network-support.ts";
import { LeakHunt } from "../network/secrets/leak-hunt.ts";
import { eventually } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running", "internet"];

// Programs that check their own work, connections and secrets, in sandboxes and their copies.

const timeout = 300_000;
/** By hand, with more: `MSB_TEST_FORKS=200 MSB_TEST_SUSPENDS=200 node scripts/test-vm.ts templates fork-programs.test.ts`. */
const forks = Number(process.env["MSB_TEST_FORKS"] ?? 6);
const suspends = Number(process.env["MSB_TEST_SUSPENDS"] ?? 2);
const soakTimeout = timeout + (forks + suspends) * 20_000;
const value = "sk-live-77f0c1ab35de9904-value";
const { home, internet } = await useInternet();
const secrets = await SecretServer.start(internet.certificates);
after(() => secrets[Symbol.asyncDispose]());
let parent: Sandbox;

before(async () => {
  parent = await onTheInternet("parent")
    .network((n) => n.tls((t) => t.interceptedPorts([8443]).upstreamCaCert(internet.certificates.caFile)))
    .secretEnv("API_KEY", value, "api.example.com")
    .create();
  for (const name of ["survivor.py", "flow.py"])
    await parent.fs().write(`/root/${name}`, readFileSync(join(import.meta.dirname, "guest", name)));
  await parent.execStream("python3", ["/root/survivor.py"]);
  await goesOn(parent);
});

interface State {
  readonly rounds: number;
  readonly notified: number;
}

async function stateOf(sandbox: Sandbox): Promise<State | null> {
  const text = await said(sandbox, "cat /dev/shm/survivor 2>/dev/null");
  if (text === "") return null;
  const [, rounds = "", notified = "", how = ""] = /^(\d+) (\d+) (.*)$/.exec(text) ?? [];
  assert.equal(how, "well", `${sandbox.name}: ${text}`);
  return { rounds: Number(rounds), notified: Number(notified) };
}

/** Waits until the program has done enough to have found what is wrong with its database and its memory. */
async function goesOn(sandbox: Sandbox, rounds = 25): Promise<State> {
  let from: State | null = null;
  return await eventually(`the program in ${sandbox.name}`, async () => {
    const now = await stateOf(sandbox);
    from ??= now;
    return now !== null && from !== null && now.rounds >= from.rounds + rounds ? now : null;
  });
}

test(
  "a program's memory, timers, connections and database are whole in all copies",
  { timeout: soakTimeout },
  async (t) => {
    let source = parent;
    let depth = 0;
    for (let count = 0; count < forks; count++) {
      const child = await source.fork(`child-${count}`);
      await Promise.all([goesOn(child), goesOn(parent)]);
      if (source !== parent) await source.destroy();
      // Copies of copies, up to five, then from the beginning.
      depth = (depth + 1) % 5;
      if (depth === 0) await child.destroy();
      source = depth === 0 ? parent : child;
    }
    if (source !== parent) await source.destroy();
    assert.equal((await goesOn(parent)).notified, 0);
    t.diagnostic(`${forks} forks`);
  },
);

test("they are whole however often it is suspended", { timeout: soakTimeout }, async (t) => {
  let sleeper = await parent.fork("sleeper");
  for (let count = 0; count < suspends; count++) {
    await goesOn(sleeper);
    await sleeper.suspend();
    sleeper = await Sandbox.startDetached("sleeper", { secrets: { API_KEY: value } });
  }
  assert.equal((await goesOn(sleeper)).notified, 0);
  await sleeper.destroy();
  t.diagnostic(`${suspends} times`);
});

test("programs with a handler are told of the copy by the signal, and others live", { timeout }, async () => {
  await parent.execStream("sleep", ["1234"]);
  const child = await parent.fork("told", { notify: "SIGUSR1" });
  assert.equal((await goesOn(child)).notified, 1);
  assert.equal((await goesOn(parent)).notified, 0);
  assert.equal(await said(child, "pgrep -x -c sleep"), "1");
  await child.destroy();
  await parent.shell("pkill sleep");
});

test(
  "connections to the outside live on in the sandbox, and end at once in its copy",
  { timeout },
  async () => {
    const server = createServer().listen(4711, places.host4);
    await once(server, "listening");
    const accepted = once(server, "connection") as Promise<[Socket]>;
    await parent.execStream("python3", ["/root/flow.py", `${places.host4}:4711`, "/dev/shm/flow"]);
    const [socket] = await accepted;
    const flow = (sandbox: Sandbox): Promise<string> => said(sandbox, "cat /dev/shm/flow");
    const becomes = (sandbox: Sandbox, ...wanted: string[]): Promise<string> =>
      eventually(
        `${wanted.join()} in ${sandbox.name}`,
        async () => {
          const now = await flow(sandbox);
          return wanted.includes(now) ? now : null;
        },
        20_000,
      );
    await becomes(parent, "connected");
    const child = await parent.fork("unconnected");
    await becomes(child, "ended", "ConnectionResetError", "ConnectionAbortedError");
    assert.equal(await flow(parent), "connected");
    socket.write("hello");
    await becomes(parent, "hello");
    // It is its own machine, and may connect again.
    const again = once(server, "connection") as Promise<[Socket]>;
    await child.execStream("python3", ["/root/flow.py", `${places.host4}:4711`, "/dev/shm/again"]);
    const [second] = await again;
    second.write("child");
    await eventually("the child's own connection", async () =>
      (await said(child, "cat /dev/shm/again")) === "child" ? true : null,
    );
    await child.destroy();
    server.close();
    socket.destroy();
  },
);

test("secrets work in a copy, whose files do not have their values", { timeout }, async () => {
  const child = await parent.fork("secretive");
  for (const sandbox of [child, parent]) {
    await said(
      sandbox,
      'curl -sS --max-time 20 -H "Authorization: Bearer $API_KEY" https://api.example.com:8443/ 2>&1',
    );
    assert.equal(secrets.take()[0]?.headers.authorization, `Bearer ${value}`, sandbox.name);
  }
  const directory = join(home, "sandboxes", "secretive");
  assert.deepEqual(await new LeakHunt(value).files(directory, { largest: 1 << 30 }), []);
  assert.equal(await said(child, "echo $API_KEY"), "$MSB_API_KEY");
  await child.destroy();
});

test("suspended, a connection to the outside ends when the sandbox goes on", { timeout }, async () => {
  const server = createServer().listen(4712, places.host4);
  await once(server, "listening");
  const accepted = once(server, "connection") as Promise<[Socket]>;
  server.on("connection", (socket) => socket.on("error", () => undefined));
  const copy = await parent.fork("suspended");
  await copy.execStream("python3", ["/root/flow.py", `${places.host4}:4712`, "/dev/shm/flow"]);
  await accepted;
  await copy.suspend();
  const again = await Sandbox.startDetached("suspended", { secrets: { API_KEY: value } });
  assert.equal(again.startReport?.route, "continued");
  await eventually(
    "the end of its connection",
    async () => {
      const now = await said(again, "cat /dev/shm/flow");
      return now === "connected" || now === "" ? null : now;
    },
    20_000,
  );
  await goesOn(again);
  await again.destroy();
  server.close();
});

test("nothing is left", { timeout }, async () => {
  await parent.destroy();
  await processesGone(home);
});
