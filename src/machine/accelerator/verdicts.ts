import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { makeDirectory } from "../../host/files/make-directory.ts";
import { writeFileAtomically } from "../../host/files/atomic-file.ts";
import { hostBootId } from "../../host/system/host-boot.ts";
import { asObject } from "../qmp/qmp.ts";
import type { QemuBinary } from "../qemu/qemu-binary.ts";
import type { Accelerator, GuestKernel } from "../types.ts";

/** What was found out about an accelerator by booting with it. It holds until the host, QEMU or the kernel changes. */
export interface Verdict {
  readonly accelerator: Accelerator;
  readonly works: boolean;
  /** Why it does not work; empty when it does. */
  readonly reason: string;
  /** RFC 3339. */
  readonly at: string;
}

interface Entry extends Verdict {
  readonly qemu: string;
  readonly kernel: string;
}

/** The oldest verdicts go: whoever builds kernels all day would fill the file. */
const mostEntries = 32;

/** The verdicts of one host boot on one QEMU and kernel, in `<cacheDirectory>/accelerator.json`. */
export class Verdicts {
  readonly #directory: string;
  readonly #qemu: string;
  readonly #kernel: string;

  constructor(cacheDirectory: string, qemu: QemuBinary, kernel: GuestKernel) {
    this.#directory = cacheDirectory;
    this.#qemu = `${qemu.path} ${qemu.version}`;
    this.#kernel = kernel.identity;
  }

  /** Held while an accelerator is tried. */
  get lockPath(): string {
    return join(this.#directory, "accelerator.lock");
  }

  async find(accelerator: Accelerator): Promise<Verdict | null> {
    const hostBoot = await hostBootId();
    return hostBoot === null
      ? null
      : ((await this.#read(hostBoot)).find((entry) => this.#isAbout(entry, accelerator)) ?? null);
  }

  /** Remembers a verdict. The caller holds the lock, so that no other one is lost. */
  async remember(verdict: Verdict): Promise<void> {
    const hostBoot = await hostBootId();
    if (hostBoot === null) return;
    const others = (await this.#read(hostBoot)).filter((entry) => !this.#isAbout(entry, verdict.accelerator));
    const entries = [...others, { ...verdict, qemu: this.#qemu, kernel: this.#kernel }].slice(-mostEntries);
    await writeFileAtomically(this.#path, `${JSON.stringify({ format: 1, hostBoot, entries }, null, 2)}\n`);
  }

  async prepareDirectory(): Promise<void> {
    await makeDirectory(this.#directory);
  }

  get #path(): string {
    return join(this.#directory, "accelerator.json");
  }

  #isAbout(entry: Entry, accelerator: Accelerator): boolean {
    return entry.accelerator === accelerator && entry.qemu === this.#qemu && entry.kernel === this.#kernel;
  }

  /** A file that is missing, damaged or of another host boot holds no verdicts. */
  async #read(hostBoot: string): Promise<Entry[]> {
    try {
      const file = asObject(JSON.parse(await readFile(this.#path, "utf8")));
      if (file?.["format"] !== 1 || file["hostBoot"] !== hostBoot || !Array.isArray(file["entries"]))
        return [];
      return file["entries"].filter(isEntry);
    } catch {
      return [];
    }
  }
}

function isEntry(value: unknown): value is Entry {
  const entry = asObject(value);
  if (entry === null || typeof entry["works"] !== "boolean") return false;
  return ["accelerator", "reason", "at", "qemu", "kernel"].every((key) => typeof entry[key] === "string");
}
