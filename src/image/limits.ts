import { readGlobalConfig } from "../store/global-config.ts";
import type { GlobalConfig } from "../config/global/global-config.ts";
import type { Home } from "../store/home.ts";
import { defaultImportLimits, type ImportLimits } from "./import/limits.ts";

/** What one image may take of the host on its way into the store. */
export interface ImageLimits extends ImportLimits {
  /** Bytes of all its layers together as a registry has them, compressed. */
  readonly maxDownloadBytes: number;
}

export interface LimitSettings {
  readonly home: Home;
  readonly config?: GlobalConfig | undefined;
  /** Wins over the settings, limit by limit. */
  readonly limits?: Partial<ImageLimits> | undefined;
}

const mib = 2 ** 20;

/** Half of what may come out of it; the largest images that people run, with a whole CUDA in them, have less. */
const defaultDownloadBytes = 32 * 2 ** 30;

/** The limits by `images` of config.json. @throws InvalidConfigError, IoError */
export async function imageLimits({ home, config, limits }: LimitSettings): Promise<ImageLimits> {
  const { images } = config ?? (await readGlobalConfig(home));
  const bytes = (size: number | null | undefined, builtIn: number): number =>
    typeof size === "number" ? size * mib : builtIn;
  return {
    maxDownloadBytes: bytes(images?.max_download_mib, defaultDownloadBytes),
    maxUncompressedBytes: bytes(images?.max_unpacked_mib, defaultImportLimits.maxUncompressedBytes),
    maxImageBytes: bytes(images?.max_rootfs_mib, defaultImportLimits.maxImageBytes),
    maxFileBytes: bytes(images?.max_file_mib, defaultImportLimits.maxFileBytes),
    maxEntries: images?.max_entries ?? defaultImportLimits.maxEntries,
    maxMetadataBytes: bytes(images?.max_metadata_mib, defaultImportLimits.maxMetadataBytes),
    ...limits,
  };
}
