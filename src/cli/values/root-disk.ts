import { UsageError } from "../output/usage-error.ts";
import { parseSizeMib } from "./size.ts";

/** What a sandbox's writes go to. Sizes in MiB. */
export type RootDiskChoice =
  | { readonly kind: "managed"; readonly sizeMib: number }
  | { readonly kind: "tmpfs"; readonly sizeMib: number | null }
  | { readonly kind: "flat" }
  | { readonly kind: "disk"; readonly path: string };

/**
 * `8G`, `tmpfs` or `tmpfs:2G`; also `flat…` and paths, which the SDK answers for.
 *
 * @throws UsageError
 */
export function parseRootDisk(text: string): RootDiskChoice {
  const [kind = ""] = text.split(/[:,]/, 1);
  const rest = text.slice(kind.length);
  if (kind === "tmpfs" && (rest === "" || rest.startsWith(":"))) {
    return { kind, sizeMib: rest === "" ? null : parseSizeMib(rest.slice(1)) };
  }
  if (kind === "flat") return { kind };
  if (kind.includes("/")) return { kind: "disk", path: kind };
  try {
    return { kind: "managed", sizeMib: parseSizeMib(text) };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`"${text}" is no root disk.`, "It is written 8G, tmpfs or tmpfs:2G");
  }
}
