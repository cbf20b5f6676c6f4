import type { GlobalConfig } from "../../config/global/global-config.ts";
import type { Home } from "../../store/home.ts";
import type { ImageLimits } from "../limits.ts";
import type { Platform } from "../manifest.ts";
import type { RetryPolicy } from "../registry/retry.ts";
import type { RegistryOptions } from "../registry/settings.ts";
import type { PullProgressListener } from "./pull-progress.ts";

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
