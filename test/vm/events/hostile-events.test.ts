import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Sandbox, type EventData, type SandboxEvents } from "../../../src/index.ts";
import { processOf, timeout } from "../lifecycle-support.ts";
import { printed, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running", "programs"];

// Programs of the host's own in a guest: what the documentation says for them, and what nobody should do. What matters is what others notice.
const home = useTemporaryHome();
const page = readFileSync(join(import.meta.dirname, "../../../docs/events.md"), "utf8");

let sandbox: Sandbox;
before(async () => {
  sandbox = await Sandbox.builder("hostile-events")
    .image("localhost/base")
    .memory(512)
    .volume("/usr", (m) => m.bind("/usr").readonly())
    .volume("/lib", (m) => m.bind("/usr/lib").readonly())
    .volume("/tests", (m) => m.bind(join(import.meta.dirname, "guest")).readonly())
    .create();
  await sandbox.shell("ln -s usr/lib64 /lib64");
});
after(() => sandbox.stop());

/** The page's code in a language. */
function helper(language: string): string {
  const code = new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, "s").exec(page)?.[1];
  assert.ok(code !== undefined);
  return code;
}

async function told(events: SandboxEvents): Promise<EventData> {
  const { value } = await events.next();
  assert.ok(value !== undefined);
  return value;
}

for (const [language, command, calls] of [
  [
    "python",
    ["python3", "-c"],
    `
emit("said", {"by": "python"})
try:
    emit("network:dns")
except ValueError as error:
    emit("said", str(error))
for event in listen("asked"):
    emit("said", event)
    if "event" in event:
        break
`,
  ],
  [
    "js",
    ["/usr/bin/node", "-e"],
    `
(async () => {
  await emit("said", { by: "js" });
  await emit("network:dns").catch((error) => emit("said", error.message));
  for await (const event of listen("asked")) {
    await emit("said", event);
    if ("event" in event) process.exit();
  }
})();
`,
  ],
] as const) {
  test(`the page's helper for ${language}`, { timeout }, async () => {
    await using events = sandbox.events({ names: "said" });
    await events.ready;
    const [program, option] = command;
    const running = await sandbox.execStream(program, [option, `${helper(language)}\n${calls}`]);
    assert.deepEqual((await told(events)).data, { by: language });
    assert.match(String((await told(events)).data), /are the host's$/);
    assert.deepEqual((await told(events)).data, { subscribed: ["asked"] });
    assert.deepEqual(await sandbox.emit("asked", [1, 2]), { listeners: 1, missed: 0 });
    const { event, data } = (await told(events)).data as EventData;
    assert.deepEqual([event, data], ["asked", [1, 2]]);
    assert.equal((await running.wait()).code, 0);
  });
}

/** What the sandbox's process has in memory, MiB. */
async function memoryOfSupervisor(): Promise<number> {
  const status = readFileSync(`/proc/${await processOf(home, sandbox.name, "supervisor")}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024;
}

/** As another user: tells, and hears that somebody listens. */
async function others(events: SandboxEvents, n: number): Promise<void> {
  const output = await sandbox.execWith("msb-emit", (options) =>
    options.user("sandbox").args(["victim", `${n}`]),
  );
  assert.equal(output.stderr(), "");
  assert.equal((await told(events)).data, n);
  await sandbox.fs().write("/tmp/victim", `${n}`);
}

test(
  "others go on beside whoever abuses the socket, and the host keeps no more than it says",
  { timeout },
  async () => {
    await using events = sandbox.events({ names: "victim" });
    await events.ready;
    await others(events, 0);
    const before = await memoryOfSupervisor();
    const deaf = await sandbox.execStreamWith("python3", (options) =>
      options.args(["/tests/hostile.py", "deaf"]).stdinPipe(),
    );
    await printed(deaf);
    // Somebody else listens to all of it, and takes nothing.
    await using unread = sandbox.events({ names: "flood" });
    await unread.ready;
    const attacks = [
      ["connections"],
      ["endless"],
      ["nonsense"],
      ["flood", "flood", "20000", "10"],
      ["flood", "flood", "30", "1000000"],
    ];
    let n = 1;
    for (const attack of attacks) {
      const running = sandbox.exec("python3", ["/tests/hostile.py", ...attack]);
      const now = { isOver: false };
      const over = running.finally(() => (now.isOver = true));
      over.catch(() => undefined);
      // At least once while it goes on.
      do await others(events, n++);
      while (!now.isOver);
      const output = await over;
      assert.equal(output.stdout(), `${attack[0] ?? ""} True\n`, output.stderr());
    }
    const large = "x".repeat(1_000_000);
    let missed = 0;
    for (let told = 0; told < 20; told++) missed += (await sandbox.emit("for the deaf", large)).missed;
    assert.ok(missed > 0);
    const grown = (await memoryOfSupervisor()) - before;
    assert.ok(grown < 100, `${grown} MiB more`);
    let count = 0;
    let dropped = 0;
    while (count + dropped < 20_030) {
      const { kind, data } = await told(unread);
      if (kind === "dropped") dropped += (data as { count: number }).count;
      else count++;
    }
    assert.equal(count + dropped, 20_030);
    assert.ok(dropped > 0 && count > 0);
    await deaf.kill();
  },
);
