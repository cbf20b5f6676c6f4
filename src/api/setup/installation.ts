import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import * as v from "valibot";
import { keyed } from "../../config/keys/keyed.ts";
import {
  ImageError,
  LibkrunfwNotFoundError,
  QemuNotFoundError,
  UnsupportedOperationError,
  type ErrorOptionsWithHint,
  type MicrosandboxError,
} from "../../errors/index.ts";
import { writeFileAtomically } from "../../host/files/atomic-file.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { guestDirectory, packageVersion } from "../../host/package-files.ts";
import { readGlobalConfig } from "../../store/global-config.ts";
import { locateHome, prepareHome, type Home } from "../../store/home.ts";
import { diagnoseHome } from "./diagnose.ts";

export interface Installation {
  /** Null: where the environment says. */
  readonly baseDir: string | null;
  /** Null: this package's. */
  readonly version: string | null;
  readonly skipVerify: boolean;
  readonly force: boolean;
}

/** Does what `install()` says. */
export async function carryOutInstallation(asked: Installation, options: WaitOptions): Promise<void> {
  await Operation.run("install", options, async (operation) => {
    requireVersion(asked.version);
    const { MSB_HOME = "" } = process.env;
    const home = locateHome({ ...process.env, MSB_HOME: asked.baseDir ?? MSB_HOME });
    operation.log(`preparing ${home.root}`);
    await operation.wait(prepareHome(home));
    await operation.wait(readGlobalConfig(home));
    operation.log("verifying the guest's files");
    await verifyGuestFiles(guestDirectory(), home, asked, operation);
    operation.log("examining the host");
    await requireHost(home, operation);
  });
}

function requireVersion(wanted: string | null): void {
  const own = packageVersion();
  if (wanted === null || wanted === own) return;
  throw new UnsupportedOperationError(`this package is microsandbox ${own}; it cannot install ${wanted}`, {
    hint: "Install the package of that version.",
  });
}

const manifestSchema = v.object({ files: keyed(v.object({ sha256: v.string(), bytes: v.number() })) });
const hint = 'Install the package again; in a checkout, "npm run build".';

/**
 * Compares the guest's files with what was built.
 *
 * @param directory where they are
 * @throws LibkrunfwNotFoundError that names the file
 */
export async function verifyGuestFiles(
  directory: string,
  home: Home,
  asked: Installation,
  operation: Operation,
): Promise<void> {
  const files = Object.entries((await readManifest(join(directory, "guest.json"))).files);
  const seen: string[] = [];
  for (const [name, { bytes, sha256 }] of files) {
    const path = join(directory, name);
    const { size, mtimeMs, ino } = await stat(path).catch((cause: unknown) => {
      throw new LibkrunfwNotFoundError(`${path} is missing`, { cause, hint });
    });
    if (size !== bytes) throw damaged(path, `it has ${size} bytes, not ${bytes}`);
    seen.push([path, size, mtimeMs, ino, sha256].join(":"));
  }
  const record = join(home.cache, "installed.json");
  if (asked.skipVerify || (!asked.force && (await isSame(record, seen)))) return;
  for (const [name, { sha256 }] of files) {
    const path = join(directory, name);
    const hash = createHash("sha256");
    await pipeline(createReadStream(path), hash, { signal: operation.signal });
    if (hash.digest("hex") !== sha256) throw damaged(path, "its SHA-256 is another one");
  }
  await writeFileAtomically(record, `${JSON.stringify(seen)}\n`);
}

async function readManifest(path: string): Promise<v.InferOutput<typeof manifestSchema>> {
  try {
    return v.parse(manifestSchema, JSON.parse(await readFile(path, "utf8")));
  } catch (cause) {
    throw new LibkrunfwNotFoundError(`${path} cannot be used`, { cause, hint });
  }
}

/** Whether the files are those that were found good. */
async function isSame(record: string, seen: readonly string[]): Promise<boolean> {
  const known = await readFile(record, "utf8").catch(() => "");
  return known === `${JSON.stringify(seen)}\n`;
}

function damaged(path: string, why: string): LibkrunfwNotFoundError {
  return new LibkrunfwNotFoundError(`${path} is not what was built: ${why}`, { hint });
}

/** What must be well, by its name in a diagnosis, and what it is called when it is not. */
const required = new Map<string, new (message: string, options: ErrorOptionsWithHint) => MicrosandboxError>([
  ["qemu", QemuNotFoundError],
  ["kernel", LibkrunfwNotFoundError],
  ["agent", LibkrunfwNotFoundError],
  ["image", ImageError],
]);

async function requireHost(home: Home, operation: Operation): Promise<void> {
  for (const { name, status, detail, fix } of await diagnoseHome(home, operation)) {
    const failure = required.get(name);
    if (status === "problem" && failure !== undefined) throw new failure(detail, { hint: fix });
  }
}
