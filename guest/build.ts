/**
 * The recipe: Debian's kernel and BusyBox, the agent and two mkfs programs become the files of `dist/guest/<architecture>/`.
 *
 * | file             | what                                                          |
 * |------------------|---------------------------------------------------------------|
 * | `vmlinux`        | the kernel as QEMU boots it                                   |
 * | `initramfs.cpio` | the agent and the kernel's modules                            |
 * | `agent.cpio`     | the agent alone, for other kernels                            |
 * | `agent`          | the agent as a program of the host                            |
 * | `base.erofs`     | the embedded image `localhost/base`                           |
 * | `upper.extents`  | a blank ext4 disk of 4 GiB, see `src/host/files/extents.ts`  |
 * | `upper-small.extents` | one of 16 MiB                                            |
 * | `guest.json`     | the manifest                                                  |
 */
import { copyFile, link, mkdir, readFile, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { buildBaseImage } from "./base-image.ts";
import { blankUppers, buildBlankUpper } from "./blank-upper.ts";
import { fetchPackage } from "./debian.ts";
import { agentArchive, initramfs } from "./initramfs.ts";
import { kernelFiles, unpackKernel } from "./kernel.ts";
import { guestFiles, MANIFEST, readManifest, type GuestFile, type Manifest } from "./manifest.ts";
import { currentPackages, type GuestPackages } from "./packages.ts";
import { resultOf } from "./steps.ts";
import type { GuestTarget } from "./target.ts";
import { run, sha256File, sha256Strings, toolStamp } from "./tools.ts";

const RECIPE = fileURLToPath(new URL(".", import.meta.url));
const CACHE = join(RECIPE, ".cache");
/** Of the recipe too, but not beside it: files and directories. */
const OTHER_SOURCES = ["../src/host/files/extents.ts", "../src/protocol/schema/guest-modules.ts"];
/** What writes the embedded image; other steps do not depend on it. */
const WRITER_SOURCES = ["../src/image/erofs", "../src/image/import"];

interface Inputs {
  readonly target: GuestTarget;
  readonly packages: GuestPackages;
  readonly agent: string;
  readonly agentSha256: string;
  readonly recipe: string;
  readonly writer: string;
  readonly tools: readonly string[];
}

/**
 * Makes the guest's files, unless they are there and nothing they were made from has changed.
 *
 * @param agent path of the agent's program
 * @param output such as `dist/guest/x86_64`; replaced as a whole
 * @returns whether anything was made
 */
export async function buildGuest(target: GuestTarget, agent: string, output: string): Promise<boolean> {
  const built = await readManifest(output);
  const common = {
    target,
    agent,
    agentSha256: await sha256File(agent),
    recipe: await digestOfSources([".", ...OTHER_SOURCES]),
    writer: await digestOfSources(WRITER_SOURCES),
    tools: [await toolStamp("mke2fs")],
  };
  await mkdir(CACHE, { recursive: true });
  try {
    const packages = await currentPackages(target, CACHE);
    return await buildFrom({ ...common, packages }, built, output);
  } catch (error) {
    if (built === undefined) throw error;
    // Without network, what the last build used is as good as before.
    const reason = error instanceof Error ? error.message : String(error);
    const made = await buildFrom({ ...common, packages: built.packages }, built, output).catch(() => {
      throw error;
    });
    process.stdout.write(`guest: the current packages cannot be had, keeping those of before (${reason})\n`);
    return made;
  }
}

async function buildFrom(inputs: Inputs, built: Manifest | undefined, output: string): Promise<boolean> {
  const digest = sha256Strings([
    inputs.target.name,
    inputs.packages.kernel.sha256,
    inputs.packages.busybox.sha256,
    inputs.agentSha256,
    inputs.recipe,
    inputs.writer,
    ...inputs.tools,
  ]);
  if (built?.inputs === digest) return false;

  const { kernel, base, upper } = await runSteps(inputs);
  const aside = `${output}.new`;
  await rm(aside, { recursive: true, force: true });
  await mkdir(aside, { recursive: true });
  const agent = await readFile(inputs.agent);
  await place(join(kernel, kernelFiles.vmlinux), join(aside, "vmlinux"));
  await place(join(base, "base.erofs"), join(aside, "base.erofs"));
  for (const name of Object.keys(blankUppers)) await place(join(upper, name), join(aside, name));
  await writeFile(join(aside, "agent"), agent, { mode: 0o755 });
  await writeFile(join(aside, "agent.cpio"), agentArchive(agent));
  await writeFile(join(aside, "initramfs.cpio"), await initramfs(agent, kernel));
  await writeFile(join(aside, MANIFEST), await manifestText(inputs, digest, kernel, aside));
  await replaceDirectory(aside, output);
  return true;
}

async function runSteps(inputs: Inputs): Promise<{ kernel: string; base: string; upper: string }> {
  const { target, packages, recipe, writer, tools } = inputs;
  const kernel = await resultOf(
    {
      name: `kernel-${target.name}`,
      message: `unpacking ${packages.kernel.name} ${packages.kernel.version} (fetched once, about 70 MB)`,
      inputs: [packages.kernel.sha256, recipe],
      make: async (into, work) => {
        await unpackKernel(target, await fetchPackage(packages.kernel, CACHE), work, into);
      },
    },
    CACHE,
  );
  const base = await resultOf(
    {
      name: `base-${target.name}`,
      message: `making the embedded image from busybox-static ${packages.busybox.version}`,
      inputs: [packages.busybox.sha256, recipe, writer],
      make: async (into, work) => {
        await buildBaseImage(await fetchPackage(packages.busybox, CACHE), work, join(into, "base.erofs"));
      },
    },
    CACHE,
  );
  const upper = await resultOf(
    {
      name: "upper",
      message: "making the blank upper disks",
      inputs: [recipe, ...tools],
      make: async (into, work) => {
        for (const [name, blank] of Object.entries(blankUppers)) {
          await buildBlankUpper(blank, work, join(into, name));
        }
      },
    },
    CACHE,
  );
  return { kernel, base, upper };
}

async function manifestText(
  inputs: Inputs,
  digest: string,
  kernel: string,
  directory: string,
): Promise<string> {
  const files = {} as Record<GuestFile, { sha256: string; bytes: number }>;
  for (const name of guestFiles) {
    const path = join(directory, name);
    files[name] = { sha256: await sha256File(path), bytes: (await stat(path)).size };
  }
  const agentVersion = (await run(join(directory, "agent"), ["--version"])).toString().trim();
  const manifest: Manifest = {
    version: 1,
    architecture: inputs.target.name,
    kernelRelease: (await readFile(join(kernel, kernelFiles.release), "utf8")).trim(),
    kernelPackageVersion: inputs.packages.kernel.version,
    agentVersion: agentVersion.split(/\s+/).at(-1) ?? "",
    inputs: digest,
    packages: inputs.packages,
    files,
  };
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

/**
 * SHA-256 over every file of the recipe, so that no change to it goes unnoticed.
 *
 * @param sources files and directories, relative to this file
 */
async function digestOfSources(sources: readonly string[]): Promise<string> {
  const found = await Promise.all(sources.map((source) => sourcesBelow(join(RECIPE, source))));
  const paths = found.flat().sort();
  const parts = await Promise.all(
    paths.map(async (path) => `${relative(RECIPE, path)}\n${await sha256File(path)}`),
  );
  return sha256Strings(parts);
}

/** @param path of a file or a directory */
async function sourcesBelow(path: string): Promise<string[]> {
  if ((await stat(path)).isFile()) return [path];
  const found = await readdir(path, { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".test.ts"))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !file.startsWith(CACHE));
}

/** The same file under a second name where the file system can, because the kernel is 60 MB; else a copy. */
async function place(from: string, to: string): Promise<void> {
  await link(from, to).catch(() => copyFile(from, to));
}

async function replaceDirectory(made: string, output: string): Promise<void> {
  const old = `${output}.old`;
  await mkdir(dirname(output), { recursive: true });
  await rm(old, { recursive: true, force: true });
  await rename(output, old).catch((error: unknown) => {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  });
  await rename(made, output);
  await rm(old, { recursive: true, force: true });
}
