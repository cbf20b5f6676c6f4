import { posix } from "node:path";
import { InvalidConfigError } from "../../errors/index.ts";
import { checkGuestPath } from "../checks.ts";

/** What every guest has there is the kernel's or the agent's: nothing is mounted over it. */
const reserved = ["/proc", "/sys", "/dev", "/.msb"];
/** Below these neither. */
const reservedBelow = ["/proc/", "/sys/", "/.msb/"];

/**
 * A place to mount something in a guest, in one spelling: `/a/` and `/a/b/..` are `/a`. Links of the image may make two places one, or
 * lead elsewhere in the guest.
 *
 * @throws InvalidConfigError
 */
export function checkMountPath(path: string): string {
  const name = "the mount point";
  checkGuestPath(name, path);
  const shown = JSON.stringify(path);
  if (/[:;,]/.test(path)) {
    throw new InvalidConfigError(`${name} ${shown} holds a ':', a ';' or a ','`, {
      hint: "Choose another place in the guest.",
    });
  }
  const canonical = posix.resolve(path);
  if (canonical === "/") {
    throw new InvalidConfigError(`${name} ${shown} is the root of the guest`, {
      hint: "What the root is made from is said with image().",
    });
  }
  if (reserved.includes(canonical) || reservedBelow.some((above) => canonical.startsWith(above))) {
    throw new InvalidConfigError(`${name} ${shown} is a place that the guest needs itself`, {
      hint: "Choose another place in the guest.",
    });
  }
  return canonical;
}

/** Enclosing places before those in them, whatever order they were given in; else the order stays. */
export function inMountOrder<T extends { readonly guest: string }>(mounts: readonly T[]): T[] {
  const depth = ({ guest }: T): number => guest.split("/").length;
  return [...mounts].sort((one, other) => depth(one) - depth(other));
}
