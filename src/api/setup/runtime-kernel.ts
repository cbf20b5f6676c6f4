import { checkString } from "../../config/guest-text.ts";

let chosen: string | null = null;

/**
 * Has the sandboxes that this process creates from now on boot another guest kernel; `libkrunfwPath()` of a builder wins over it, it
 * wins over `MSB_KERNEL` and `config.json`. See `docs/configuration.md` for what such a kernel needs.
 *
 * @param path an ELF vmlinux or a bzImage; null for none
 * @throws InvalidConfigError when it is no path; that it can be read is looked at when a sandbox is created
 *
 * @example
 * ```ts
 * import { setRuntimeLibkrunfwPath } from "microsandbox";
 *
 * setRuntimeLibkrunfwPath("/opt/kernels/vmlinux");
 * setRuntimeLibkrunfwPath(null);
 * ```
 */
export function setRuntimeLibkrunfwPath(path: string | null): void {
  chosen = path === null ? null : checkString("the guest kernel's path", path);
}

export function runtimeKernelPath(): string | null {
  return chosen;
}
