import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, open, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { locateHome, prepareHome, type Home } from "../../src/store/home.ts";
import {
  lockTemplate,
  stageTemplate,
  type StagedTemplate,
} from "../../src/store/templates/template-staging.ts";
import type { Template } from "../../src/store/templates/templates.ts";
import type { TemplateDetails } from "../../src/store/templates/template-record.ts";

export const keyA = "a".repeat(64);
export const keyB = "b".repeat(64);
export const keyC = "c".repeat(64);
export const keyD = "d".repeat(64);

const mib = 1024 * 1024;
export const noLimit = Number.POSITIVE_INFINITY;

export const machineDetails: TemplateDetails = {
  kind: "machine",
  description: {
    kernel: "6.1.0-test",
    qemuVersion: "7.2.0",
    accelerator: "tcg",
    cpus: 1,
    memoryMib: 64,
    image: null,
    rootDisk: null,
  },
  agentVersion: "1.2.3",
  kernelRelease: "6.1.0-test",
  tscKhz: 2_000_000,
};

export const imageDetails: TemplateDetails = {
  ...machineDetails,
  kind: "image",
  description: { ...machineDetails.description, image: "localhost/base", rootDisk: "managed:4096" },
};

export class TemplateHome implements AsyncDisposable {
  readonly home: Home;

  private constructor(home: Home) {
    this.home = home;
  }

  static async create(): Promise<TemplateHome> {
    const home = locateHome({ MSB_HOME: await mkdtemp(join(tmpdir(), "msb-templates-")) });
    await prepareHome(home);
    return new TemplateHome(home);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.home.root, { recursive: true, force: true });
  }
}

/** The templates there are, in order, and what makers have beside them; not what is put aside to be removed. */
export async function entries(home: Home): Promise<string[]> {
  return (await readdir(home.templates)).filter((name) => !name.startsWith(".removed-")).sort();
}

/** Puts files there as a saved machine would: a sparse memory with some data at its end. */
export async function fill(staged: StagedTemplate, kind: "machine" | "image", dataMib = 1): Promise<void> {
  await using memory = await open(staged.paths.memory, "wx", 0o644);
  await memory.truncate(64 * mib);
  await memory.write(Buffer.alloc(dataMib * mib, "memory"), 0, null, (64 - dataMib) * mib);
  await writeFile(staged.paths.state, "state", { mode: 0o644 });
  if (kind === "image") await writeFile(staged.paths.upper, "upper", { mode: 0o644 });
}

export interface MakeOptions {
  readonly details?: TemplateDetails;
  readonly dataMib?: number;
  readonly limitBytes?: number;
}

/** Makes a template as a sandbox's supervisor does. */
export async function make(home: Home, key: string, options: MakeOptions = {}): Promise<Template | null> {
  const { details = machineDetails, dataMib = 1, limitBytes = noLimit } = options;
  await using lock = await lockTemplate(home, key);
  await using staged = await stageTemplate(home);
  await fill(staged, details.kind, dataMib);
  return await staged.commit(lock, details, limitBytes);
}

/** A maker in a process of its own, which stops at a step until it is told to go on. */
export async function startMaker(home: Home, key: string, stopAt: string): Promise<ChildProcess> {
  const program = fileURLToPath(new URL("template-maker.ts", import.meta.url));
  const child = spawn(process.execPath, [program, key, stopAt], {
    env: { ...process.env, MSB_HOME: home.root },
    stdio: ["pipe", "pipe", "inherit"],
    timeout: 60_000,
    killSignal: "SIGKILL",
  });
  await once(child.stdout, "data");
  return child;
}

export async function kill(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "close");
}
