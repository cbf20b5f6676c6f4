import { Sandbox } from "../../../api/index.ts";
import { tool } from "../../call/tool.ts";
import { failureOf } from "../../call/tool-failure.ts";
import { flag, optionalText, sandboxName, snapshotName, text, texts } from "../../inputs/fields.ts";

const stay = flag("It stays when the client goes. By default it is removed then.");

const fork = tool({
  name: "sandbox_fork",
  description:
    "Copies a sandbox that runs, with its memory, its programs, which go on where they were, and its disk: one child for each name.",
  effect: "changes",
  input: {
    name: sandboxName,
    names: texts("Names of the children; one is made up without them."),
    detached: stay,
  },
  run: async ({ name, names, detached = false }, { bench, signal }) => {
    const handle = await Sandbox.get(name, { signal });
    const results =
      names === undefined
        ? (await handle.fork({ count: 1, signal })).map((made) =>
            made instanceof Error ? { error: made } : { sandbox: made },
          )
        : await handle.forkMany(names, { signal });
    const children: object[] = [];
    for (const [at, { sandbox, error }] of results.entries()) {
      if (sandbox === undefined) {
        children.push({ name: names?.[at] ?? null, ok: false, error: failureOf(error, false) });
        continue;
      }
      if (!detached) bench.sandboxes.addCopy(sandbox);
      else await sandbox[Symbol.asyncDispose]();
      children.push({ name: sandbox.name, ok: true, id: sandbox.id, status: "running" });
    }
    return { data: { source: name, children } };
  },
});

const restore = tool({
  name: "snapshot_restore",
  description:
    "Makes a sandbox that goes on where a snapshot with memory was taken, or boots from the disk of another.",
  effect: "changes",
  input: {
    snapshot: snapshotName,
    name: sandboxName,
    diskOnly: flag("Boot from the disk, without the memory."),
    detached: stay,
  },
  run: async ({ snapshot, name, diskOnly = false, detached = false }, { bench, signal }) => {
    const sandbox = await Sandbox.restore(snapshot).name(name).diskOnly(diskOnly).restore({ signal });
    if (detached) await sandbox[Symbol.asyncDispose]();
    else bench.sandboxes.addCopy(sandbox);
    return { data: { name, id: sandbox.id, status: "running", start: sandbox.startReport } };
  },
});

const pause = tool({
  name: "sandbox_pause",
  description:
    "Holds a sandbox: its memory stays, its processors take no time. sandbox_resume lets it go on.",
  effect: "changes",
  input: { name: sandboxName },
  run: async ({ name }, { signal }) => {
    await (await Sandbox.get(name, { signal })).pause({ signal });
    return { data: { name, status: "paused" } };
  },
});

const resume = tool({
  name: "sandbox_resume",
  description: "Lets a sandbox go on that was paused.",
  effect: "changes",
  input: { name: sandboxName },
  run: async ({ name }, { signal }) => {
    await (await Sandbox.get(name, { signal })).resume({ signal });
    return { data: { name, status: "running" } };
  },
});

const suspend = tool({
  name: "sandbox_suspend",
  description:
    "Writes the memory of a sandbox to disk and ends its machine; sandbox_start goes on where it was. For sandboxes that are not ephemeral.",
  effect: "changes",
  input: { name: sandboxName },
  run: async ({ name }, { signal }) => {
    await (await Sandbox.get(name, { signal })).suspend({ signal });
    return { data: { name, status: "suspended" } };
  },
});

const checkpoint = tool({
  name: "checkpoint_create",
  description:
    "Notes the memory, the programs and the disk of a sandbox that runs; sandbox_rollback goes back there.",
  effect: "changes",
  input: { name: sandboxName, checkpoint: optionalText("What to call it; a name is made up without.") },
  run: async ({ name, checkpoint: id }, { signal }) => ({
    data: await (await Sandbox.get(name, { signal })).checkpoint(id, { signal }),
  }),
});

const checkpoints = tool({
  name: "checkpoint_list",
  description: "The moments of a sandbox to go back to, oldest first.",
  effect: "reads",
  input: { name: sandboxName },
  run: async ({ name }, { signal }) => ({
    data: { checkpoints: await (await Sandbox.get(name, { signal })).checkpoints({ signal }) },
  }),
});

const removeCheckpoint = tool({
  name: "checkpoint_remove",
  description: "Removes a moment to go back to; the sandbox stays as it is.",
  effect: "destroys",
  input: { name: sandboxName, checkpoint: text("Which one.") },
  run: async ({ name, checkpoint: id }, { signal }) => {
    await (await Sandbox.get(name, { signal })).removeCheckpoint(id, { signal });
    return { data: { name, removed: id } };
  },
});

const rollback = tool({
  name: "sandbox_rollback",
  description:
    "Memory, programs and disk of a sandbox are again as they were at the checkpoint. What it has done since is lost.",
  effect: "destroys",
  input: { name: sandboxName, checkpoint: text("Which one.") },
  run: async ({ name, checkpoint: id }, { signal }) => {
    await (await Sandbox.get(name, { signal })).rollback(id, { signal });
    return { data: { name, checkpoint: id, status: "running" } };
  },
});

export const liveTools = [
  fork,
  pause,
  resume,
  suspend,
  checkpoint,
  checkpoints,
  removeCheckpoint,
  rollback,
  restore,
];
