import { pruneImages } from "../../image/store/manage.ts";
import { findImageUses } from "../../image/store/uses.ts";
import type { Home } from "../../store/home.ts";
import { pruneTemplates } from "../../store/templates/template-eviction.ts";
import { sweepHome } from "../../store/usage/sweep-home.ts";
import type { StoragePruneReport } from "./storage-types.ts";

/** Templates are what starts are quick from: one that was used since then stays, unless the user says otherwise. ms */
const templateMs = 7 * 86_400_000;

/** The time since when a template that is in use was used. */
export function templatesUsedSince(): Date {
  return new Date(Date.now() - templateMs);
}

/** @throws IoError; the reason of the signal. What was removed until then stays removed */
export async function pruneStorage(
  home: Home,
  options: { readonly dryRun: boolean; readonly olderThanSeconds: number | undefined },
  signal: AbortSignal,
): Promise<StoragePruneReport> {
  const { dryRun, olderThanSeconds: seconds } = options;
  // A number of seconds may be larger than time is old.
  const since = seconds === undefined ? undefined : new Date(Math.max(0, Date.now() - seconds * 1000));
  // First what is refused when it cannot be told what is needed: nothing is removed then.
  const images = await pruneImages(home, () => findImageUses(home), { unusedSince: since, dryRun, signal });
  const swept = await sweepHome(home, { dryRun, signal });
  const unusedSince = since ?? templatesUsedSince();
  const templates = await pruneTemplates(home, { unusedSince, dryRun, signal });
  return {
    dryRun,
    images: { references: images.references, bytes: images.bytesReclaimed },
    templates: { keys: templates.keys, bytes: templates.bytes },
    leftovers: { paths: swept.paths, bytes: swept.bytes },
    bytesReclaimed: images.bytesReclaimed + templates.bytes + swept.bytes,
  };
}
