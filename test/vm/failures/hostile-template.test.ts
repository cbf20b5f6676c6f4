import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { hello, HostilePackage, ready, control, type Part } from "./hostile-support.ts";
import { processesGone, smallMemory, timeout, withEnvironment } from "../lifecycle-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import { templatesOf } from "../templates/template-support.ts";

export const needs: Needs = ["template", "rust"];

// A guest that keeps to the rules until it was saved as a template, and breaks them in those that are restored from it. Their
// sandboxes boot instead, and the template goes.
const home = useTemporaryHome({ ownTemplates: true });
let hostile: HostilePackage;

before(async () => {
  hostile = await HostilePackage.build();
});

after(() => hostile[Symbol.asyncDispose]());

const mounted = control(0, { type: "Mounted" });
const none = Buffer.alloc(0);

/**
 * One that was restored from an image template is told the time once more before it is told what to become, and not to mount
 * anything. One that boots is told everything once.
 */
const playOf = (restored: Omit<Part, "after" | "unless">): Part[] => [
  { bytes: hello },
  { after: "Mount", bytes: mounted },
  { after: "Clock", unless: "Boot", ...restored },
  { after: "Boot", bytes: ready },
  { after: "Exec", bytes: control(1, { type: "ExecStarted", pid: 7, sessionId: 0 }) },
  { bytes: control(1, { type: "ExecExited", code: 42, signal: 0 }) },
];

/** For a whole start. A guest that is silent is waited for a third of it, which leaves enough for two boots of 5 s on a slow host. */
const patienceMs = 45_000;

const onceRestored: Record<string, [Omit<Part, "after" | "unless">, RegExp]> = {
  "sends garbage": [{ bytes: Buffer.alloc(4096, "garbage ") }, /frame length/],
  "says hello again": [{ bytes: hello }, /AgentHello that nobody asked for/],
  "has a root that nobody asked for": [{ bytes: mounted }, /Mounted that nobody asked for/],
  "is silent": [{ bytes: none, how: "forever" }, /the restored guest did not answer within 15000 ms/],
  // Its end of the wire closes a moment before its kernel panics.
  dies: [{ bytes: none, how: "die" }, /panic|closed/],
};

for (const [index, [what, [restored, reason]]] of Object.entries(onceRestored).entries()) {
  test(`a guest that ${what} once it is restored`, { timeout }, async () => {
    const { Sandbox } = hostile.api;
    await hostile.play(playOf(restored));
    const environment = { MSB_TEMPLATES: "on", MSB_BOOT_TIMEOUT_MS: String(patienceMs) };
    await withEnvironment(environment, async () => {
      // The first one makes a template and finds that it does not work. The second one knows, and boots at once.
      for (const name of [`maker-${index}`, `user-${index}`]) {
        const begun = performance.now();
        await using sandbox = await Sandbox.create({ name, image: "localhost/base", memoryMib: smallMemory });
        const took = performance.now() - begun;
        assert.ok(took < patienceMs + 5000, `${took} ms`);
        assert.equal((await sandbox.exec("anything")).code, 42);
        const log = await readFile(join(home, "sandboxes", name, "logs", "runtime.log"), "utf8");
        const dropped = log.split("\n").filter((line) => line.includes("dropped the template"));
        if (name.startsWith("maker")) {
          assert.equal(dropped.length, 1, log);
          assert.match(dropped[0] ?? "", reason);
        } else assert.deepEqual(dropped, []);
        await sandbox.kill();
        await sandbox.removePersisted();
      }
    });
    await processesGone(home);
    // Nothing is left of it but that one was tried.
    for (const { directory } of await templatesOf(home)) {
      const text = await readFile(join(directory, "template.json"), "utf8");
      const { kind, unusable } = JSON.parse(text) as { kind: string; unusable: string | null };
      assert.equal(unusable === null ? "machine" : "image", kind);
      assert.match(unusable ?? "", unusable === null ? /^$/ : /./);
    }
  });
}
