/** Kernel and modules out of Debian's kernel package. */
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { unpackPackage } from "./debian.ts";
import { decompress, extractVmlinux } from "./kernel-image.ts";
import { checkModuleOrder, guestModules, parseBuiltIn } from "./modules.ts";
import type { GuestTarget } from "./target.ts";

/** What `unpackKernel` leaves in its directory. */
export const kernelFiles = { vmlinux: "vmlinux", modules: "modules", release: "release" } as const;

/**
 * Writes `vmlinux`, `modules/<name>.ko` (uncompressed) and `release` (one line, as `uname -r` says it).
 *
 * @param deb path of the kernel package
 * @param work directory to work in
 * @param into directory to write to
 */
export async function unpackKernel(
  target: GuestTarget,
  deb: string,
  work: string,
  into: string,
): Promise<void> {
  const unpacked = join(work, "kernel");
  await rm(unpacked, { recursive: true, force: true });
  await unpackPackage(deb, unpacked, [
    "./boot/vmlinuz-*",
    "*lib/modules/*/modules.builtin",
    ...guestModules.map((name) => `*lib/modules/*/${name}.ko*`),
  ]);
  const paths = await readdir(unpacked, { recursive: true });
  const imagePath = paths.find((path) => path.startsWith("boot/vmlinuz-"));
  const builtInPath = paths.find((path) => basename(path) === "modules.builtin");
  if (imagePath === undefined || builtInPath === undefined) {
    throw new Error(`${deb} holds no kernel`);
  }
  const image = await readFile(join(unpacked, imagePath));
  const kernel = target.kernelFormat === "bzImage" ? await extractVmlinux(image) : await decompress(image);
  const modules = await readModules(unpacked, paths);
  checkModuleOrder(modules, parseBuiltIn(await readFile(join(unpacked, builtInPath), "utf8")));

  await mkdir(join(into, kernelFiles.modules), { recursive: true });
  await writeFile(join(into, kernelFiles.vmlinux), kernel);
  for (const { name, content } of modules) {
    await writeFile(join(into, kernelFiles.modules, `${name}.ko`), content);
  }
  await writeFile(join(into, kernelFiles.release), `${imagePath.slice("boot/vmlinuz-".length)}\n`);
}

async function readModules(
  unpacked: string,
  paths: readonly string[],
): Promise<{ name: string; content: Buffer }[]> {
  const byName = new Map(
    paths.map((path) => [/^(.*)\.ko(\.(xz|zst|gz))?$/.exec(basename(path))?.[1], path] as const),
  );
  const found = guestModules.flatMap((name) => {
    const path = byName.get(name);
    return path === undefined ? [] : [{ name, path }];
  });
  return await Promise.all(
    found.map(async ({ name, path }) => ({
      name,
      content: await decompress(await readFile(join(unpacked, path))),
    })),
  );
}
