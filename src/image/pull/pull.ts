/**
 * Container images. Begin here: `stored.ts` is an image that is stored, `registry/` asks registries, `credentials/` finds
 * out as whom, `store/` keeps what was pulled, `archive/` reads and writes files of images, `import/` makes root file
 * systems of layers. There is no file that exports it all, because most programs need little of it at a time.
 */
import { ImageError } from "../../errors/index.ts";
import type { GlobalConfig } from "../../config/global/global-config.ts";
import type { Home } from "../../store/home.ts";
import type { ImageLimits } from "../limits.ts";
import type { Platform } from "../manifest.ts";
import type { PullProgressListener } from "./pull-progress.ts";
import { parseReference } from "../reference.ts";
import type { RetryPolicy } from "../registry/retry.ts";
import type { RegistryOptions } from "../registry/settings.ts";
import { findImage } from "../store/images.ts";
import { imageStore } from "../store/layout.ts";
import { useStored, type PulledImage } from "../stored.ts";

/**
 * When the registry is asked: always (what is stored is used if the registry still means it), only for what is not
 * stored, never.
 */
export type PullPolicy = "always" | "if-missing" | "never";

export interface PullOptions {
  readonly home: Home;
  readonly policy?: PullPolicy | undefined;
  readonly registry?: RegistryOptions | undefined;
  /** The user's settings; read from the home directory when they are needed and not given. */
  readonly config?: GlobalConfig | undefined;
  readonly environment?: NodeJS.ProcessEnv | undefined;
  readonly platform?: Platform | undefined;
  /** Wins over the settings, limit by limit. */
  readonly limits?: Partial<ImageLimits> | undefined;
  /** Layers that are downloaded at once; 3 as docker does. */
  readonly parallelLayers?: number | undefined;
  readonly retry?: RetryPolicy | undefined;
  /** How long the registry may be silent, in milliseconds; one minute when not given. */
  readonly silenceMs?: number | undefined;
  /** Told of every step, in order. */
  readonly onProgress?: PullProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

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
  const cached = await findImage(store, parsed.canonical);
  if (policy !== "always" && cached !== null) {
    const image = await useStored(store, cached, options, report);
    if (image !== null) return image;
  }
  if (policy === "never") {
    throw new ImageError(`the image ${parsed.canonical} is not stored here, and the pull policy is never`, {
      hint: `Pull it first ("msb pull ${reference}"), or use the policy if-missing.`,
    });
  }
  // Only now: what is stored needs none of it, and loading it takes longer than all else here.
  const { pullFromRegistry } = await import("./pull-from-registry.ts");
  return await pullFromRegistry(store, parsed, cached, options, report);
}
