import * as v from "valibot";
import { Image } from "../../api/index.ts";
import { list as listTemplates, prune as pruneTemplates } from "../../api/setup/msb-templates.ts";
import type { ImageRow, TemplateRow } from "../wire.ts";
import { nothing, type SomeCalls } from "./call.ts";

export const imageCalls: SomeCalls<
  "images.list" | "images.remove" | "images.prune" | "templates.list" | "templates.prune"
> = {
  "images.list": {
    args: nothing,
    run: async (_, signal) =>
      (await Image.list({ signal })).map(
        ({ reference, sizeBytes, createdAt, lastUsedAt, damage }): ImageRow => ({
          ...{ reference, sizeBytes, damage },
          createdAt: createdAt?.getTime() ?? null,
          lastUsedAt: lastUsedAt?.getTime() ?? null,
        }),
      ),
  },
  "images.remove": {
    args: v.strictObject({ reference: v.string() }),
    run: async ({ reference }) => {
      await Image.remove(reference);
      return null;
    },
  },
  "images.prune": {
    args: nothing,
    run: async () => {
      const before = new Set((await Image.list()).map(({ reference }) => reference));
      const { bytesReclaimed } = await Image.prune();
      for (const { reference } of await Image.list()) before.delete(reference);
      return { removed: [...before], bytes: bytesReclaimed ?? 0 };
    },
  },
  "templates.list": {
    args: nothing,
    run: async () =>
      (await listTemplates()).map(({ key, status, reason, sizeBytes, lastUsedAt, shape }): TemplateRow => ({
        ...{ key, status, reason, sizeBytes },
        lastUsedAt: lastUsedAt.getTime(),
        kind: shape?.kind ?? "-",
        image: shape?.image ?? null,
        shape: shape === null ? "-" : `${String(shape.cpus)} CPU, ${String(shape.memoryMib)} MiB`,
      })),
  },
  "templates.prune": {
    args: nothing,
    run: async () => {
      const before = new Set((await listTemplates()).map(({ key }) => key));
      const { bytes } = await pruneTemplates();
      for (const { key } of await listTemplates()) before.delete(key);
      return { removed: [...before], bytes };
    },
  },
};
