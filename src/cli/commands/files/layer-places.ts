import { posix } from "node:path";
import type { SandboxHandle } from "../../../api/index.ts";
import { UsageError } from "../../output/usage-error.ts";

/** What `msb diff`, `msb apply` and `msb discard` are about. */
export interface LayerPlaces {
  readonly sandbox: SandboxHandle;
  readonly places: readonly LayerPlace[];
}

/** A directory with overlay(), or something in it. */
export interface LayerPlace {
  /** Path in the guest. */
  readonly guest: string;
  /** Of the host, what it is over. */
  readonly host: string;
  /** Below `guest`, those that were named; undefined for all. */
  readonly paths: readonly string[] | undefined;
}

export const layerOperands = [
  { name: "NAME[:/PATH]", required: true, completes: "sandbox" },
  { name: "PATH", required: false, repeated: true },
] as const;

/**
 * @param operand `NAME`, for all directories with overlay() of a sandbox, or `NAME:/path`
 * @param named changes, by their paths in the guest or below the only directory that is meant
 * @throws UsageError; SandboxNotFoundError; what the SDK says of a path in no such directory it says later
 */
export async function layerPlaces(operand: string, named: readonly string[]): Promise<LayerPlaces> {
  const colon = operand.indexOf(":");
  const name = colon < 0 ? operand : operand.slice(0, colon);
  const path = colon < 0 ? null : operand.slice(colon + 1).replace(/(?<=.)\/+$/, "");
  if (path !== null && !path.startsWith("/"))
    throw new UsageError(`"${operand}" has no absolute path.`, `Write ${name}:/${path}`);
  const { Sandbox } = await import("../../../api/index.ts");
  const sandbox = await Sandbox.get(name);
  const layers = sandbox
    .config()
    .mounts.flatMap((mount) => (mount.kind === "bind" && mount.overlay === true ? [mount] : []))
    .map(({ guest, host }) => ({ guest, host }));
  if (layers.length === 0) {
    throw new UsageError(
      `the sandbox ${name} has no directory that is mounted with overlay.`,
      "One is mounted with -v DIR:/work:overlay",
    );
  }
  const meant = path === null ? layers : [placeOf(path, layers)];
  if (named.length === 0) return { sandbox, places: meant.map((layer) => ({ ...layer, paths: undefined })) };
  const chosen = new Map<string, string[]>();
  for (const each of named) {
    const { guest, below } = locate(each, meant);
    chosen.set(guest, [...(chosen.get(guest) ?? []), below]);
  }
  const places = meant.flatMap((layer) => {
    const paths = chosen.get(layer.guest);
    // The directory itself is all that is in it.
    return paths === undefined ? [] : [{ ...layer, paths: paths.includes("") ? undefined : paths }];
  });
  return { sandbox, places };
}

type Layer = Pick<LayerPlace, "guest" | "host">;

function placeOf(path: string, layers: readonly Layer[]): Layer {
  const layer = layerOf(path, layers);
  if (layer !== undefined)
    return { guest: path, host: posix.join(layer.host, path.slice(layer.guest.length)) };
  throw new UsageError(
    `${path} is in no directory that is mounted with overlay.`,
    `There is ${layers.map(({ guest }) => guest).join(", ")}`,
  );
}

function locate(path: string, layers: readonly Layer[]): { guest: string; below: string } {
  const plain = path.replace(/(?<=.)\/+$/, "");
  if (plain.startsWith("/")) {
    const layer = layerOf(plain, layers);
    if (layer !== undefined) return { guest: layer.guest, below: plain.slice(layer.guest.length + 1) };
    throw new UsageError(
      `${path} is not in ${layers.map(({ guest }) => guest).join(" or ")}.`,
      "Name paths as msb diff prints them",
    );
  }
  const [only, second] = layers;
  if (only === undefined || second !== undefined)
    throw new UsageError(`it is not said where "${path}" is.`, "Name paths as msb diff prints them");
  return { guest: only.guest, below: plain };
}

/** One may be mounted in another: the innermost one that a path is in. */
export function layerOf<T extends Pick<LayerPlace, "guest">>(
  path: string,
  layers: readonly T[],
): T | undefined {
  const all = layers.filter(({ guest }) => isIn(path, guest));
  return all.sort((one, other) => other.guest.length - one.guest.length)[0];
}

function isIn(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}
