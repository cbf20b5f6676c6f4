import { execFile } from "node:child_process";
import { access, constants, readFile, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { QemuNotFoundError } from "../../errors/index.ts";
import { writeFileAtomically } from "../../host/files/atomic-file.ts";
import { findLifeline, findProgram, type Lifeline } from "./lifeline.ts";
import { hostPlatform } from "./platform.ts";
import { asObject } from "../qmp/qmp.ts";
import { askEnv, findEnv, type EnvProgram } from "./term-shield.ts";

/** A QEMU that machines can be started with. */
export interface QemuBinary {
  /** Absolute path. */
  readonly path: string;
  /** Such as `7.2.22`. */
  readonly version: string;
  /** Built with seccomp, so it can confine itself (`-sandbox`). */
  readonly seccomp: boolean;
  readonly lifeline: Lifeline;
  /** The env(1) that keeps SIGTERM from it, see `term-shield.ts`; null: there is none that can. */
  readonly env: string | null;
  /** Changes when the file at `path` does. */
  readonly identity: string;
}

interface QemuFacts {
  readonly version: string;
  readonly seccomp: boolean;
}

/** What has to be asked, and is remembered. */
type AskedFacts = QemuFacts & Pick<QemuBinary, "env">;

/** The oldest version that was tested; 7.2 is the one of Debian 12. */
const oldestVersion = [7, 2] as const;

const versionTimeoutMs = 20_000;

/**
 * Finds QEMU: the program that `MSB_QEMU` names, else the one on the PATH.
 *
 * @param options.cacheDirectory where to remember what a QEMU binary can do, so that it is asked once (40 ms)
 * @throws QemuNotFoundError when there is none, it does not run, or it is older than 7.2
 */
export async function findQemu(options: { readonly cacheDirectory?: string } = {}): Promise<QemuBinary> {
  const [path, lifeline, env] = await Promise.all([locateQemu(), findLifeline(), findEnv()]);
  const file = await stat(path);
  const identity = `${path}:${file.size}:${file.mtimeMs}:${file.ino}`;
  const facts = await askOnce(path, identity, env, options.cacheDirectory);
  const [major = 0, minor = 0] = facts.version.split(".").map(Number);
  if (major < oldestVersion[0] || (major === oldestVersion[0] && minor < oldestVersion[1])) {
    throw new QemuNotFoundError(
      `${path} is QEMU ${facts.version}; ${oldestVersion.join(".")} or newer is needed`,
      {
        hint: await installHint(),
      },
    );
  }
  return { path, ...facts, lifeline, identity };
}

async function locateQemu(): Promise<string> {
  const { qemuProgram } = hostPlatform();
  const named = process.env["MSB_QEMU"];
  if (named !== undefined && named !== "") {
    const path = named.includes("/") ? named : await findProgram(named);
    if (path !== null && (await isExecutable(path))) return realpath(path);
    throw new QemuNotFoundError(`MSB_QEMU names ${named}, which is not a program that can be run`, {
      hint: `Set MSB_QEMU to the path of ${qemuProgram}, or unset it to use the one on the PATH.`,
    });
  }
  const further = process.platform === "darwin" ? ["/opt/homebrew/bin", "/usr/local/bin"] : [];
  const path = await findProgram(qemuProgram, process.env, further);
  if (path !== null) return path;
  throw new QemuNotFoundError(`${qemuProgram} is not installed`, { hint: await installHint() });
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

/** Facts about the binary, and about the program that shields it, from the cache when it holds them for these very files. */
async function askOnce(
  path: string,
  identity: string,
  env: EnvProgram | null,
  cacheDirectory: string | undefined,
): Promise<AskedFacts> {
  if (cacheDirectory === undefined) return await askBoth(path, env);
  const key = `${identity}:${env?.identity ?? ""}`;
  const cacheFile = join(cacheDirectory, "qemu.json");
  const cached = await readCache(cacheFile, key);
  if (cached !== null) return cached;
  const facts = await askBoth(path, env);
  // Asked again next time when it cannot be remembered.
  await writeFileAtomically(cacheFile, `${JSON.stringify({ key, ...facts })}\n`).catch(() => undefined);
  return facts;
}

async function askBoth(path: string, env: EnvProgram | null): Promise<AskedFacts> {
  const [facts, shield] = await Promise.all([askQemu(path), env === null ? null : askEnv(env)]);
  return { ...facts, env: shield };
}

async function readCache(cacheFile: string, key: string): Promise<AskedFacts | null> {
  try {
    const cached = asObject(JSON.parse(await readFile(cacheFile, "utf8")));
    if (cached?.["key"] !== key) return null;
    const { version, seccomp, env } = cached;
    const isWhole =
      typeof version === "string" &&
      typeof seccomp === "boolean" &&
      (env === null || typeof env === "string");
    return isWhole ? { version, seccomp, env } : null;
  } catch {
    return null;
  }
}

async function askQemu(path: string): Promise<QemuFacts> {
  // Options are looked at in order, so a QEMU without seccomp refuses the first one.
  const confined = await run(path, ["-sandbox", "on", "-version"]);
  const version = parseQemuVersion(confined.output);
  if (version !== null) return { version, seccomp: true };
  const plain = await run(path, ["-version"]);
  const plainVersion = parseQemuVersion(plain.output);
  if (plainVersion !== null) return { version: plainVersion, seccomp: false };
  throw new QemuNotFoundError(`${path} does not tell its version: ${plain.output.trim() || plain.failure}`, {
    hint: await installHint(),
  });
}

async function run(path: string, options: string[]): Promise<{ output: string; failure: string }> {
  try {
    const { stdout } = await promisify(execFile)(path, options, { timeout: versionTimeoutMs });
    return { output: stdout, failure: "" };
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error);
    return { output: "", failure };
  }
}

/** @returns `7.2.22` from `QEMU emulator version 7.2.22 (Debian …)`, or null */
export function parseQemuVersion(output: string): string | null {
  return /^QEMU emulator version (\d+\.\d+(?:\.\d+)?)/m.exec(output)?.[1] ?? null;
}

/** One line that installs QEMU on this host. */
async function installHint(): Promise<string> {
  const line = installLine(process.platform, process.arch, await readOsRelease());
  const what = "or set MSB_QEMU to the path of a QEMU 7.2 or newer";
  if (line === null)
    return `Install QEMU 7.2 or newer (${hostPlatform().qemuProgram}) with your package manager, ${what}.`;
  return `Install it with \`${line}\`, ${what}.`;
}

async function readOsRelease(): Promise<string> {
  try {
    return await readFile("/etc/os-release", "utf8");
  } catch {
    return "";
  }
}

/** @param osRelease the content of os-release(5) */
export function installLine(system: string, architecture: string, osRelease: string): string | null {
  if (system === "darwin") return "brew install qemu";
  const names = [...osRelease.matchAll(/^ID(?:_LIKE)?="?([^"\n]*)"?$/gm)].flatMap((match) =>
    (match[1] ?? "").split(" "),
  );
  const arm = architecture === "arm64";
  if (names.includes("debian"))
    return `sudo apt-get install -y ${arm ? "qemu-system-arm" : "qemu-system-x86"}`;
  if (names.includes("fedora") || names.includes("rhel")) {
    return `sudo dnf install -y ${arm ? "qemu-system-aarch64" : "qemu-system-x86"}`;
  }
  if (names.includes("arch"))
    return `sudo pacman -S --noconfirm ${arm ? "qemu-system-aarch64" : "qemu-system-x86"}`;
  if (names.includes("alpine")) return `sudo apk add ${arm ? "qemu-system-aarch64" : "qemu-system-x86_64"}`;
  if (names.some((name) => name.includes("suse")))
    return `sudo zypper install -y ${arm ? "qemu-arm" : "qemu-x86"}`;
  return null;
}
