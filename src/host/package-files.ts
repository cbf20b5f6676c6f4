import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { LibkrunfwNotFoundError } from "../errors/index.ts";

// A bundle of ours lies as deep in `dist/` as this file does in `src/`.

/**
 * Where this code is. A program that uses us may be bundled with us in it: then it is that bundle's place, and where the bundle
 * is CommonJS, which has no `import.meta.url`, esbuild leaves `__filename`.
 */
const location = (import.meta.url as string | undefined) ?? pathToFileURL(__filename).href;

/** True when this file runs as it stands in the repository, false when it runs as part of a bundle. */
export const fromSource = location.endsWith(".ts");

/** Sources may be told to start what was built of them, which is there in a third of the time: the tests with machines start thousands. */
const startsSources = fromSource && process.env["MSB_PROGRAMS"] !== "built";

const architectures: Readonly<Record<string, string>> = { x64: "x86_64", arm64: "aarch64" };

/** This host's processor as QEMU and the kernel call it. */
export function hostArchitecture(): string {
  return architectures[process.arch] ?? process.arch;
}

/** The version in package.json. @throws as `packageDirectory` */
export function packageVersion(): string {
  const description = describePackage(packageDirectory());
  if (description !== null && "version" in description) return String(description.version);
  throw new Error("package.json of microsandbox has no version");
}

/**
 * Guest kernel, initramfs, agent, the embedded image and the blank upper disk, as `npm run build` made them.
 *
 * @throws as `packageDirectory`
 */
export function guestDirectory(): string {
  return join(packageDirectory(), "dist/guest", hostArchitecture());
}

/** The program that owns one sandbox. @throws as `packageDirectory` */
export function supervisorProgram(): string {
  return join(packageDirectory(), startsSources ? "src/supervisor/main.ts" : "dist/supervisor/main.js");
}

/** The thread that serves directories of the host to one sandbox. @throws as `packageDirectory` */
export function fileServerProgram(): string {
  return join(packageDirectory(), fromSource ? "src/file-server/worker.ts" : "dist/file-server/worker.js");
}

/** What `msb mcp` runs. @throws as `packageDirectory` */
export function mcpProgram(): string {
  return join(packageDirectory(), fromSource ? "src/mcp/program.ts" : "dist/mcp/program.js");
}

/** What `msb dashboard` runs. @throws as `packageDirectory` */
export function dashboardProgram(): string {
  return join(packageDirectory(), fromSource ? "src/dashboard/dashboard.ts" : "dist/dashboard/dashboard.js");
}

/** The dashboard's page, as `npm run build` made it. @throws as `packageDirectory` */
export function dashboardDirectory(): string {
  return join(packageDirectory(), "dist/dashboard/page");
}

/** Loads what this package depends on and what is not in its bundles: native code. @throws as `packageDirectory` */
export function requireFromPackage(id: string): unknown {
  return createRequire(join(packageDirectory(), "package.json"))(id);
}

let found: string | undefined;

/**
 * The directory of this package: it has programs and files of the guest, which are no part of a bundle that someone makes.
 *
 * @throws LibkrunfwNotFoundError when this code is in such a bundle, and the package is not installed where that lies
 */
function packageDirectory(): string {
  found ??= findPackage(location);
  return found;
}

/**
 * @param from - the URL of the file that this code is in
 * @throws as `packageDirectory`
 */
function findPackage(from: string): string {
  const own = fileURLToPath(new URL("../..", from));
  if (isThisPackage(own)) return own;
  try {
    return dirname(createRequire(from).resolve("microsandbox/package.json"));
  } catch (cause) {
    throw new LibkrunfwNotFoundError(
      `the package microsandbox, whose code is in ${fileURLToPath(from)}, is not installed there`,
      {
        cause,
        hint: "A bundle has only its code, and needs its files too: install the package where the bundle runs, and best leave it out of the bundle (esbuild --external:microsandbox).",
      },
    );
  }
}

function isThisPackage(directory: string): boolean {
  const description = describePackage(directory);
  return description !== null && "name" in description && description.name === "microsandbox";
}

/** What package.json in `directory` says; null where there is none, or none that can be read. */
function describePackage(directory: string): object | null {
  try {
    const description: unknown = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
    return typeof description === "object" ? description : null;
  } catch {
    return null;
  }
}
