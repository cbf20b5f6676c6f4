import { constants, accessSync } from "node:fs";
import { delimiter, join } from "node:path";
import { LibkrunfwNotFoundError } from "../../errors/index.ts";
import { checkFlag } from "../../config/checks.ts";
import { checkString } from "../../config/guest-text.ts";
import type { WaitOptions } from "../../host/operation.ts";
import { guestDirectory, hostArchitecture } from "../../host/package-files.ts";

/** What a guest boots from, without which nothing runs. */
const guestFiles = ["guest.json", "vmlinux", "initramfs.cpio", "agent.cpio"];

/**
 * Whether what sandboxes run from is there: the guest's files, which come with this package, and QEMU, which comes with the system.
 * Looks for the files only; {@link install} looks into them, and {@link diagnose} tells what is missing and how to get it.
 *
 * @example
 * ```ts
 * import { isInstalled } from "microsandbox";
 *
 * console.log(isInstalled()); // true
 * ```
 */
export function isInstalled(): boolean {
  return hasGuestFiles() && hasQemu();
}

/**
 * Makes this computer ready for sandboxes, as far as a package can: makes the home directory and verifies what sandboxes run from.
 * Nothing is downloaded, for the guest's files come with the package. What was done before is not done again.
 *
 * @throws QemuNotFoundError with the line that installs it; LibkrunfwNotFoundError when a file of the guest is missing or is not
 *   what was built; ImageError for the image that comes with the package; InvalidConfigError for `config.json`; IoError
 *
 * @example
 * ```ts
 * import { install, isInstalled } from "microsandbox";
 *
 * if (!isInstalled()) await install();
 * ```
 */
export async function install(options: WaitOptions = {}): Promise<void> {
  await new Setup().install(options);
}

/** An {@link install} that differs from the usual one: `setup().baseDir("/srv/sandboxes").install()`. */
export function setup(): Setup {
  return new Setup();
}

/** How an installation is to be done. Nothing is done before `install()`. */
export class Setup {
  #baseDir: string | null = null;
  #version: string | null = null;
  #skipVerify = false;
  #force = false;

  /** Makes this the home directory, instead of `$MSB_HOME`. Programs that are to use it are started with `MSB_HOME` set to it. */
  baseDir(path: string): this {
    this.#baseDir = checkString("baseDir", path);
    return this;
  }

  /** The version that is wanted. There is only that of this package: `install()` fails when it is another one. */
  version(version: string): this {
    this.#version = checkString("version", version);
    return this;
  }

  /** Looks only whether the guest's files are there and as long as they should be, not at what they hold. By default they are hashed. */
  skipVerify(enabled = true): this {
    this.#skipVerify = checkFlag("skipVerify", enabled);
    return this;
  }

  /** Verifies the guest's files also when they have not changed since they were found good. */
  force(enabled = true): this {
    this.#force = checkFlag("force", enabled);
    return this;
  }

  /** @throws as {@link install}; UnsupportedOperationError for another version than this package's */
  async install(options: WaitOptions = {}): Promise<void> {
    const { carryOutInstallation } = await import("./installation.ts");
    await carryOutInstallation(
      {
        baseDir: this.#baseDir,
        version: this.#version,
        skipVerify: this.#skipVerify,
        force: this.#force,
      },
      options,
    );
  }
}

function hasGuestFiles(): boolean {
  let directory: string;
  try {
    directory = guestDirectory();
  } catch (error) {
    // In a bundle, where this package is not installed.
    if (error instanceof LibkrunfwNotFoundError) return false;
    throw error;
  }
  return guestFiles.every((name) => isThere(join(directory, name), constants.R_OK));
}

/** A name is searched as a shell does it; what the program can do is asked by whoever runs it. */
function hasQemu(): boolean {
  const named = process.env["MSB_QEMU"] ?? "";
  const program = named === "" ? `qemu-system-${hostArchitecture()}` : named;
  if (program.includes("/")) return isThere(program, constants.X_OK);
  const further = process.platform === "darwin" ? ["/opt/homebrew/bin", "/usr/local/bin"] : [];
  return [...(process.env["PATH"] ?? "").split(delimiter), ...further].some(
    (directory) => directory.startsWith("/") && isThere(join(directory, program), constants.X_OK),
  );
}

function isThere(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}
