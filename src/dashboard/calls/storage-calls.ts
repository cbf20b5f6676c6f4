import * as v from "valibot";
import { Storage, Volume } from "../../api/index.ts";
import type { VolumeRow } from "../wire.ts";
import { named, nothing, type SomeCalls } from "./call.ts";

const mebibyte = 1 << 20;

export const storageCalls: SomeCalls<
  "volumes.list" | "volumes.remove" | "volumes.prune" | "storage.usage" | "storage.prune"
> = {
  "volumes.list": {
    args: nothing,
    run: async (_, signal) =>
      (await Volume.list({ signal })).map(
        ({ name, kind, usedBytes, quotaMib, capacityBytes, createdAt }): VolumeRow => ({
          ...{ name, kind, usedBytes },
          limitMib: capacityBytes === null ? quotaMib : capacityBytes / mebibyte,
          createdAt: createdAt?.getTime() ?? null,
        }),
      ),
  },
  "volumes.remove": {
    args: named,
    run: async ({ name }) => {
      await Volume.remove(name);
      return null;
    },
  },
  "volumes.prune": {
    args: nothing,
    run: async () => {
      const { volumesRemoved, bytesReclaimed } = await Volume.prune();
      return { removed: volumesRemoved, bytes: bytesReclaimed };
    },
  },
  "storage.usage": {
    args: nothing,
    run: async (_, signal) => {
      const { path, kinds, totalBytes } = await Storage.usage({ signal });
      const rows = Object.entries(kinds).map(([kind, usage]) => ({ kind, ...usage }));
      return { path, kinds: rows, totalBytes };
    },
  },
  "storage.prune": {
    args: v.strictObject({ dryRun: v.boolean() }),
    run: async ({ dryRun }) => {
      const { images, templates, leftovers, bytesReclaimed } = await Storage.prune({ dryRun });
      return {
        removed: [
          ...images.references.map((reference) => `image ${reference}`),
          ...templates.keys.map((key) => `template ${key.slice(0, 12)}`),
          ...leftovers.paths.map((path) => `leftover ${path}`),
        ],
        bytes: bytesReclaimed,
      };
    },
  },
};
