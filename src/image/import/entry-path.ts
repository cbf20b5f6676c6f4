import { ImageError } from "../../errors/index.ts";

/** NAME_MAX of Linux. */
const maximumNameBytes = 255;
/** PATH_MAX of Linux, for whole paths and for the targets of symbolic links. */
const maximumPathBytes = 4096;
const maximumLevels = 1000;

/**
 * The components of a name in an archive. Names are taken from the root; empty and `.` components are dropped, and a `..`
 * takes away what stands before it, before any link is looked up, as with docker and containerd (Go's `filepath.Clean`).
 * Above the root an absolute name stays there, and any other one is refused.
 *
 * @param name bytes as Latin-1
 * @returns no component for the root itself
 * @throws ImageError for a name that climbs out, and for what Linux has no names for
 */
export function componentsOf(name: string): string[] {
  if (name.length > maximumPathBytes) {
    throw new ImageError(`its name has ${name.length} bytes, more than ${maximumPathBytes}`);
  }
  if (name.includes("\0")) throw new ImageError("its name has a zero byte");
  if (name === "") throw new ImageError("its name is empty");
  const components: string[] = [];
  for (const component of name.split("/")) {
    if (component === "" || component === ".") continue;
    if (component === "..") {
      if (components.pop() === undefined && !name.startsWith("/"))
        throw new ImageError('its name leads out of the root by ".."');
      continue;
    }
    if (component.length > maximumNameBytes) {
      throw new ImageError(`a part of its name has ${component.length} bytes, more than ${maximumNameBytes}`);
    }
    components.push(component);
  }
  if (components.length > maximumLevels) {
    throw new ImageError(`its name has ${components.length} levels, more than ${maximumLevels}`);
  }
  return components;
}

/** @throws ImageError for what Linux does not allow as a symbolic link */
export function checkSymlinkTarget(target: string): string {
  if (target === "") throw new ImageError("the symbolic link is empty");
  if (target.includes("\0")) throw new ImageError("the symbolic link has a zero byte");
  if (target.length >= maximumPathBytes) {
    throw new ImageError(`the symbolic link has ${target.length} bytes, more than ${maximumPathBytes - 1}`);
  }
  return target;
}
