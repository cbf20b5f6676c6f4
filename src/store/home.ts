import { lstat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { getuid } from "node:process";
import { InvalidConfigError, IoError } from "../errors/index.ts";
import { smallSha256 } from "../host/digest.ts";
import { makeDirectory } from "../host/files/make-directory.ts";
import { userHomeDirectory } from "../host/system/user-home.ts";

/** Where everything that outlives a process is kept: `$MSB_HOME`, by default `~/.microsandbox`. */
export interface Home {
  readonly root: string;
  readonly configFile: string;
  readonly sandboxes: string;
  /** An OCI image layout with the pulled images, and the root file systems made of them. */
  readonly images: string;
  /** Saved memory of booted machines, from which others start; see `templates.ts`. */
  readonly templates: string;
  /** Named volumes, which outlive the sandboxes that use them; see `volumes/volume-paths.ts`. */
  readonly volumes: string;
  /** Captured disks of sandboxes; see `snapshots/snapshots.ts`. */
  readonly snapshots: string;
  /** Sandboxes that are started ahead; see `pools/pools.ts`. */
  readonly pools: string;
  /** Unix sockets of running sandboxes, and of machines while they are saved. */
  readonly run: string;
  /** Facts about this host that can be found out again. */
  readonly cache: string;
}

/**
 * Looks at the environment only; creates nothing.
 *
 * @throws InvalidConfigError when nothing tells where this user's home directory is
 */
export function locateHome(environment: NodeJS.ProcessEnv = process.env): Home {
  const configured = environment["MSB_HOME"];
  const root = configured === undefined || configured === "" ? defaultRoot() : resolve(configured);
  const configFile = environment["MSB_CONFIG_PATH"];
  return {
    root,
    configFile:
      configFile === undefined || configFile === "" ? join(root, "config.json") : resolve(configFile),
    sandboxes: join(root, "sandboxes"),
    images: join(root, "images"),
    templates: join(root, "templates"),
    volumes: join(root, "volumes"),
    snapshots: join(root, "snapshots"),
    pools: join(root, "pools"),
    run: runDirectory(root),
    cache: join(root, "cache"),
  };
}

function defaultRoot(): string {
  const home = userHomeDirectory();
  if (home !== null) return join(home, ".microsandbox");
  throw new InvalidConfigError(
    "this user has no home directory: neither HOME nor the system's users name one",
    {
      hint: "Set HOME, or MSB_HOME to a directory of your own.",
    },
  );
}

/** Every system that this package is for has user ids, whether they have names or not. */
function userId(): number {
  return getuid?.() ?? -1;
}

/**
 * Creates the directories of a home that are missing, readable by this user only.
 *
 * @throws IoError when the place is read-only, full or not ours
 */
export async function prepareHome(home: Home): Promise<void> {
  for (const directory of [home.root, home.sandboxes, home.templates, home.run, home.cache]) {
    await makeDirectory(directory);
  }
  await refuseForeignDirectory(home.run);
}

/** The directory of sockets may lie in the shared temporary directory, where another user could have made it first. */
async function refuseForeignDirectory(path: string): Promise<void> {
  const found = await lstat(path);
  if (found.isDirectory() && found.uid === userId() && (found.mode & 0o022) === 0) return;
  throw new IoError(`${path} is not a directory that only this user can write`, {
    hint: "Remove it, or set MSB_HOME to a directory with a shorter path.",
  });
}

/** A sandbox's socket; a sandbox's name is not part of it because a socket's path is limited to 103 bytes (macOS). */
export function socketPath(home: Home, sandboxId: string): string {
  return join(home.run, `${sandboxId}.sock`);
}

const longestSocketPath = 103;
const longestSocketName = "/0123456789abcdef.sock".length;

function runDirectory(root: string): string {
  const own = join(root, "run");
  if (Buffer.byteLength(own) + longestSocketName <= longestSocketPath) return own;
  const digest = smallSha256(root).slice(0, 12);
  return join(tmpdir(), `msb-${userId()}-${digest}`);
}
