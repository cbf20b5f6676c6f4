import { diskModule, earlyModules } from "../src/protocol/schema/guest-modules.ts";

/** The kernel modules of a guest, in the order in which the agent loads them. */
export const guestModules: readonly string[] = [...earlyModules, diskModule];

/** The kernel takes `-` and `_` in a module's name for the same. */
const plain = (name: string): string => name.replaceAll("-", "_");

/**
 * What a module says it needs: the value of `depends=` in its `.modinfo` section, zero-terminated strings
 * (include/linux/module.h, MODULE_INFO).
 */
export function moduleDependencies(module: Buffer): string[] {
  const start = module.indexOf("\0depends=", 0, "latin1");
  if (start < 0) return [];
  const from = start + "\0depends=".length;
  return module
    .toString("latin1", from, module.indexOf(0, from))
    .split(",")
    .filter((name) => name !== "");
}

/**
 * Makes sure that the agent's order of loading works.
 *
 * @param modules the modules found, in the order of loading
 * @param builtIn names of what the kernel has built in
 * @throws Error that names what is missing, or loaded too late
 */
export function checkModuleOrder(
  modules: readonly { readonly name: string; readonly content: Buffer }[],
  builtIn: ReadonlySet<string>,
): void {
  const there = new Set([...builtIn].map(plain));
  const problems: string[] = [];
  for (const { name, content } of modules) {
    for (const needed of moduleDependencies(content)) {
      if (!there.has(plain(needed))) problems.push(`${name} needs ${needed} before it`);
    }
    there.add(plain(name));
  }
  for (const name of ["virtio_mmio", "virtio_console", "virtio_blk", "ext4", "erofs", "overlay"]) {
    if (!there.has(name)) problems.push(`the kernel has no ${name}`);
  }
  if (problems.length > 0) {
    throw new Error(
      `the list of modules in src/protocol/schema/guest-modules.ts does not fit this kernel: ${problems.join("; ")}`,
    );
  }
}

/** The names of the modules that a kernel's `modules.builtin` lists (Documentation/kbuild/kbuild.rst). */
export function parseBuiltIn(text: string): Set<string> {
  return new Set(
    text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => (line.split("/").at(-1) ?? "").replace(/\.ko$/, "")),
  );
}
