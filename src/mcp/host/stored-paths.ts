import { lstat } from "node:fs/promises";
import type { SandboxHandle } from "../../api/index.ts";
import type { AllowedPaths } from "./allowed-paths.ts";

type Config = ReturnType<SandboxHandle["config"]>;

/** The host's files that programs of a sandbox have before them: what is mounted, and what its root is. */
export function mountedPaths({ image, mounts }: Pick<Config, "image" | "mounts">): readonly string[] {
  return [
    ...(image.kind === "oci" ? [] : [image.path]),
    ...mounts.flatMap((mount) => ("host" in mount ? [mount.host] : [])),
  ];
}

/**
 * The files of the host that a start of a sandbox may read.
 *
 * @param paths what is outside of them was named by whoever runs the server, but for what is mounted
 */
export async function storedPaths(
  config: Pick<Config, "image" | "mounts" | "network" | "patches">,
  paths: AllowedPaths,
): Promise<readonly string[]> {
  const read: (string | null)[] = [];
  const tls = config.network?.tls ?? null;
  if (tls !== null) {
    read.push(...tls.upstreamCaCertPaths, ...tls.scopedUpstreamCaCerts.map(({ path }) => path));
    read.push(tls.interceptCaCertPath, tls.interceptCaKeyPath);
  }
  for (const patch of config.patches) if ("src" in patch) read.push(patch.src);
  const found = [...mountedPaths(config)];
  for (const path of read) {
    // What a patch copies is read by the first start, and may be gone since then.
    if (path !== null && (await paths.lies(path)) && (await isThere(path))) found.push(path);
  }
  return found;
}

async function isThere(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  );
}
