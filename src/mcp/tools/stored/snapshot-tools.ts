import { Snapshot } from "../../../api/index.ts";
import { tool } from "../../call/tool.ts";
import { confirm, flag, hostPath, sandboxName, snapshotName, textRecord } from "../../inputs/fields.ts";
import { requireConfirmation } from "../../workbench.ts";
import { snapshotRow } from "../listings.ts";
import { named } from "../sandbox/fs-tools.ts";

const create = tool({
  name: "snapshot_create",
  description:
    "Captures the disk of a sandbox, running or not; with full its memory too, so that others go on where it was.",
  effect: "changes",
  input: {
    name: snapshotName,
    sandbox: sandboxName,
    full: flag("With its memory: it has to run."),
    labels: textRecord("Labels."),
    recordIntegrity: flag("Hash it, so that snapshot_verify can tell whether it is still the same."),
    force: flag("Take the place of a snapshot that is there; has to be confirmed."),
    confirm,
  },
  run: async (input, { signal }) => {
    const { name, sandbox, full = false, labels = {}, recordIntegrity = false, force = false } = input;
    if (force) requireConfirmation(input.confirm, "replacing a snapshot");
    const builder = Snapshot.builder(name)
      .fromSandbox(sandbox)
      .full(full)
      .recordIntegrity(recordIntegrity)
      .force(force);
    for (const [key, value] of Object.entries(labels)) builder.label(key, value);
    await builder.create({ signal });
    return { data: snapshotRow(await Snapshot.get(name, { signal })) };
  },
});

const list = tool({
  name: "snapshot_list",
  description: "All snapshots, newest first.",
  effect: "reads",
  input: {},
  run: async (_input, { signal }) => ({
    data: { snapshots: (await Snapshot.list({ signal })).map(snapshotRow) },
  }),
});

const inspect = tool({
  name: "snapshot_inspect",
  description: "Everything that a snapshot says of itself.",
  effect: "reads",
  input: { name: snapshotName },
  run: async ({ name }, { signal }) => {
    const { digest, scope, state, memory, sizeBytes, imageRef, parent, createdAt, labels, sourceSandbox } =
      await Snapshot.open(name, { signal });
    return {
      data: {
        name,
        digest,
        scope,
        state,
        memory,
        sizeBytes,
        imageRef,
        parent,
        createdAt,
        labels: Object.fromEntries(labels),
        sourceSandbox,
      },
    };
  },
});

const verify = tool({
  name: "snapshot_verify",
  description: "Reads all of a snapshot and compares it with what was recorded when it was taken.",
  effect: "reads",
  input: { name: snapshotName },
  run: async ({ name }, { signal }) => {
    const { digest, upper } = await (await Snapshot.open(name, { signal })).verify({ signal });
    return { data: { name, digest, upper } };
  },
});

const remove = tool({
  name: "snapshot_remove",
  description:
    "Removes a snapshot; sandboxes that were made from it stay. The parent of another one only with force, which has to be confirmed.",
  effect: "destroys",
  input: {
    name: snapshotName,
    force: flag("Also the parent of another one, or one that is damaged."),
    confirm,
  },
  run: async ({ name, force = false, confirm: confirmed }, { signal }) => {
    if (force) requireConfirmation(confirmed, "removing a snapshot that others go back to");
    await Snapshot.remove(name, { force, signal });
    return { data: { name, removed: true } };
  },
});

const reindex = tool({
  name: "snapshot_reindex",
  description:
    "Clears away what killed programs have left among the snapshots, and counts those that are there.",
  effect: "changes",
  input: {},
  run: async (_input, { signal }) => ({ data: { snapshots: await Snapshot.reindex(undefined, { signal }) } }),
});

const save = tool({
  name: "snapshot_save",
  description: "Writes a snapshot to one file of the host, an archive for snapshot_load.",
  effect: "changes",
  input: {
    name: snapshotName,
    hostPath,
    withParents: flag("The snapshots that it goes back to, too."),
    withImage: flag("The image that its disk lies over, too."),
    overwrite: flag("Take the place of a file that is there."),
  },
  run: async (
    { name, hostPath: given, withParents = false, withImage = false, overwrite = false },
    { bench, signal },
  ) => {
    const written = await bench.paths.target(
      given,
      `${name.replaceAll(":", "-")}.tar.zst`,
      overwrite,
      (aside) => named(given, aside, () => Snapshot.save(name, aside, { withParents, withImage, signal })),
    );
    return { data: { name, hostPath: written } };
  },
});

const load = tool({
  name: "snapshot_load",
  description: "Takes a snapshot in from an archive of the host.",
  effect: "changes",
  input: { hostPath },
  run: async ({ hostPath: given }, { bench, signal }) => {
    await using source = await bench.paths.source(given);
    const loaded = await named(given, source.path, () => Snapshot.load(source.path, undefined, { signal }));
    return { data: snapshotRow(loaded) };
  },
});

export const snapshotTools = [create, list, inspect, verify, remove, reindex, save, load];
