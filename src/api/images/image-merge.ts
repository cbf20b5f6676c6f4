import type { ImageConfig } from "../../image/image-config.ts";
import type { StoredConfig } from "../../config/sandbox/stored-config.ts";
import { isReservedLabel } from "../../config/checks.ts";
import { isText } from "../../config/guest-text.ts";
import { isReservedEnv } from "../../config/env.ts";

/**
 * A sandbox's configuration with what its image says about how it wants to be run. What the user set wins: the environment
 * and the labels key by key, the rest as a whole; ENTRYPOINT and CMD independently of each other.
 */
export function mergeImageConfig(config: StoredConfig, image: ImageConfig): StoredConfig {
  return {
    ...config,
    env: [...new Map([...imageEnv(image.env), ...config.env])],
    labels: { ...imageLabels(image.labels), ...config.labels },
    entrypoint: config.entrypoint ?? words(image.entrypoint),
    cmd: config.cmd ?? words(image.cmd),
    workdir: config.workdir ?? absolute(image.workingDir),
    user: config.user ?? image.user,
    stopSignal: config.stopSignal ?? image.stopSignal,
  };
}

/** An entry without `=` sets nothing, as in docker; names that are ours or that no program can have are passed over. */
function imageEnv(entries: readonly string[]): [string, string][] {
  return entries.flatMap((entry): [string, string][] => {
    const equals = entry.indexOf("=");
    const key = entry.slice(0, Math.max(0, equals));
    const isUsable = key !== "" && !isReservedEnv(key) && isText(entry);
    return isUsable ? [[key, entry.slice(equals + 1)]] : [];
  });
}

function imageLabels(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(labels).filter(([key]) => key !== "" && isText(key) && !isReservedLabel(key)),
  );
}

/** Old builders wrote an empty string for an empty list. */
function words(list: readonly string[] | null): string[] | null {
  return list === null || list.length === 0 || (list.length === 1 && list[0] === "") ? null : [...list];
}

/** The image format asks for an absolute path, but not every builder keeps to it; docker takes it from the root. */
function absolute(path: string | null): string | null {
  return path === null || path.startsWith("/") ? path : `/${path}`;
}
