import { inspect } from "node:util";
import { InvalidConfigError, UnsupportedOperationError } from "../../errors/index.ts";
import { allMethods, requiredMethods, type FileProvider } from "../../provider/file-provider.ts";
import { checkWhole } from "../checks.ts";
import { refuseUnknownKeys } from "../keys/unknown-keys.ts";
import { GivenProvider, type ProviderOptions } from "./given-provider.ts";
import { checkMountPath } from "./guest-mount-path.ts";
import type { ProviderMount, VolumeMount } from "./volume-mount.ts";

const keys = ["timeoutMs", "cacheMs", "onError"];
const defaults = { timeoutMs: 30_000, cacheMs: 1_000 } as const;
const longestMs = 3_600_000;

export interface CheckedProviderOptions {
  readonly timeoutMs: number;
  readonly cacheMs: number;
  readonly onError: ProviderOptions["onError"];
}

/** @throws InvalidConfigError */
export function checkProviderOptions(options: ProviderOptions): CheckedProviderOptions {
  refuseUnknownKeys("the options of provider()", options, keys);
  const { timeoutMs, cacheMs, onError } = options;
  if (onError !== undefined && onError !== null && typeof onError !== "function") {
    throw new InvalidConfigError("onError of provider() is no function", {
      hint: "Leave it out, or give one.",
    });
  }
  return {
    timeoutMs: checkWhole("timeoutMs of provider()", timeoutMs ?? defaults.timeoutMs, 100, longestMs),
    cacheMs: checkWhole("cacheMs of provider()", cacheMs ?? defaults.cacheMs, 0, longestMs),
    onError: onError ?? null,
  };
}

/** @param what for errors: `the provider at /data` @throws InvalidConfigError for what is no provider */
export function checkProvider(what: string, input: unknown): FileProvider {
  const isObject = (typeof input === "object" && input !== null) || typeof input === "function";
  if (!isObject) {
    throw new InvalidConfigError(`${what} is ${inspect(input, { depth: 0 })}, which is no object`, {
      hint: "Give an object with stat(), list() and read(), or memory(), readOnly() or union().",
    });
  }
  const files = input as Partial<Record<keyof FileProvider, unknown>>;
  for (const method of allMethods) {
    const value = files[method];
    if (typeof value === "function") continue;
    const isRequired = (requiredMethods as readonly string[]).includes(method);
    if (value === undefined && !isRequired) continue;
    throw new InvalidConfigError(`${what} has no function ${method}()`, {
      hint: "stat(), list() and read() are required; all others may be left out.",
    });
  }
  return input as FileProvider;
}

export function isProviderMount(mount: VolumeMount): mount is ProviderMount {
  return mount.kind === "provider";
}

/** Refuses what would leave mounts without their program. @throws UnsupportedOperationError */
export function requireNoProviders(mounts: readonly VolumeMount[], what: string): void {
  const [first] = mounts.filter(isProviderMount);
  if (first === undefined) return;
  throw new UnsupportedOperationError(
    `${what} cannot go on without its program, which provides the files at ${first.guest}`,
    { hint: "Let it be attached, or mount files that the host has: bind(), named()." },
  );
}

/** The providers of a sandbox by their places in the guest. */
export type Providers = ReadonlyMap<string, GivenProvider>;

/** Those of the mounts of a new sandbox. */
export function providersOf(mounts: readonly VolumeMount[]): Providers {
  return new Map(
    mounts.flatMap((mount) =>
      mount.kind === "provider" && mount.provider !== undefined ? [[mount.guest, mount.provider]] : [],
    ),
  );
}

/**
 * The providers for a sandbox that is to be started again.
 *
 * @param given by path, as the user gave them
 * @param known what the same program gave before
 * @throws InvalidConfigError for one that is missing, or of no mount of the sandbox
 */
export function providersFor(
  mounts: readonly VolumeMount[],
  given: Readonly<Record<string, unknown>>,
  known: Providers,
): Providers {
  const places = mounts.filter(isProviderMount).map(({ guest }) => guest);
  const byPlace = new Map(Object.entries(given).map(([path, files]) => [checkMountPath(path), files]));
  for (const path of byPlace.keys()) {
    if (places.includes(path)) continue;
    throw new InvalidConfigError(`providers has ${JSON.stringify(path)}, where no provider is mounted`, {
      hint: places.length === 0 ? "Leave it out." : `The sandbox has them at ${places.join(", ")}.`,
    });
  }
  const found = new Map<string, GivenProvider>();
  for (const place of places) {
    const files = byPlace.get(place);
    const before = known.get(place);
    if (files instanceof GivenProvider) found.set(place, files);
    else if (files !== undefined) {
      found.set(place, new GivenProvider(checkProvider(`the provider at ${place}`, files), before?.onError));
    } else if (before !== undefined) found.set(place, before);
    else {
      throw new InvalidConfigError(
        `the files at ${place} are provided by a program, which has not given them`,
        {
          hint: `Start it from a program: start({ providers: { ${JSON.stringify(place)}: files } }).`,
        },
      );
    }
  }
  return found;
}
