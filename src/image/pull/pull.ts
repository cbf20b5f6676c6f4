/**
 * Container images. Begin here: `stored.ts` is an image that is stored, `registry/` asks registries, `credentials/` finds
 * out as whom, `store/` keeps what was pulled, `archive/` reads and writes files of images, `import/` makes root file
 * systems of layers. There is no file that exports it all, because most programs need little of it at a time.
 */
import { HttpError, ImageError } from "../../errors/index.ts";
import type { PullOptions } from "./pull-options.ts";
import type { PullProgressListener } from "./pull-progress.ts";
import { parseReference } from "../reference.ts";
import { damageError, findImage, isDamaged } from "../store/images.ts";
import { imageStore } from "../store/layout.ts";
import { useStored, type PulledImage } from "../stored.ts";

/**
 * Makes an image ready: from the store without any network, or else from its registry.
 *
 * @throws ImageError when the reference, the image or a login is refused, or the policy is `never` and the image is not
 *   stored; HttpError when the registry cannot be reached; InvalidConfigError, IoError; the signal's reason
 * @example
 * ```ts
 * const image = await pullImage("alpine:3.20", { home: locateHome(), policy: "if-missing" });
 * console.log(image.rootFileSystem.path, image.config.cmd);
 * ```
 */
export async function pullImage(reference: string, options: PullOptions): Promise<PulledImage> {
  const parsed = parseReference(reference);
  const { policy = "if-missing", signal } = options;
  signal?.throwIfAborted();
  const store = imageStore(options.home);
  const report: PullProgressListener = options.onProgress ?? (() => undefined);
  report({ kind: "resolving", reference: parsed.canonical });
  const found = await findImage(store, parsed.canonical);
  const cached = found === null || isDamaged(found) ? null : found;
  let damage = found !== null && isDamaged(found) ? found.damage : null;
  if (policy !== "always" && cached !== null) {
    const image = await useStored(store, cached, options, report);
    if (image !== null) return image;
    damage = "layers of it are missing or damaged";
  }
  if (policy === "never") {
    if (damage !== null) throw damageError(parsed.canonical, damage);
    throw new ImageError(`the image ${parsed.canonical} is not stored here, and the pull policy is never`, {
      hint: `Pull it first ("msb pull ${reference}"), or use the policy if-missing.`,
    });
  }
  // Only now: what is stored needs none of it, and loading it takes longer than all else here.
  const { pullFromRegistry } = await import("./pull-from-registry.ts");
  try {
    return await pullFromRegistry(store, parsed, cached, options, report);
  } catch (error) {
    const isOurs = error instanceof ImageError || error instanceof HttpError;
    if (damage === null || !isOurs || signal?.aborted === true) throw error;
    throw damageError(parsed.canonical, `${damage}. It could not be fetched again: ${error.message}`, error);
  }
}
