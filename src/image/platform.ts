import { ImageError } from "../errors/index.ts";
import type { Descriptor, Platform } from "./manifest.ts";

const architectures: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/** What runs here: Linux for this machine's processor, in Go's words. */
export function hostPlatform(): Platform {
  return { os: "linux", architecture: architectures[process.arch] ?? process.arch };
}

/** The variants of an architecture that can be run, in the order in which they are taken. */
const variants: Readonly<Record<string, readonly string[]>> = {
  arm64: ["v8", ""],
  // The levels of the x86-64 psABI. Not every processor has v2 and v3, but an image that offers nothing less wants to be tried.
  amd64: ["", "v1", "v2", "v3"],
};

/**
 * The entries of an index in the order in which they are to be tried: those for the platform first, then those that do not
 * say what they are for. Attestations and other platforms are left out.
 */
export function suitableEntries(entries: readonly Descriptor[], platform: Platform): Descriptor[] {
  const wanted = variants[platform.architecture] ?? [""];
  const rank = ({ platform: offered }: Descriptor): number => {
    if (offered === undefined || offered === null) return wanted.length;
    if (offered.os !== platform.os || offered.architecture !== platform.architecture) return -1;
    const variant = offered.variant ?? "";
    if (platform.variant !== undefined) return variant === platform.variant ? 0 : -1;
    return wanted.indexOf(variant);
  };
  return entries
    .map((entry) => ({ entry, rank: rank(entry) }))
    .filter(({ rank: found }) => found >= 0)
    .sort((a, b) => a.rank - b.rank)
    .map(({ entry }) => entry);
}

export function describePlatform({ os, architecture, variant }: Platform): string {
  return `${os}/${architecture}${variant === undefined || variant === "" ? "" : `/${variant}`}`;
}

export function noSuchPlatform(what: string, platform: Platform, offered: readonly Descriptor[]): ImageError {
  const names = offered
    .flatMap((entry) => (entry.platform === undefined || entry.platform === null ? [] : [entry.platform]))
    .filter(({ os }) => os !== "unknown")
    .map(describePlatform);
  return new ImageError(`${what} has no image for ${describePlatform(platform)}`, {
    hint:
      names.length === 0 ? undefined : `It has images for ${[...new Set(names)].slice(0, 20).join(", ")}.`,
  });
}
