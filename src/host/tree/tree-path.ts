/** Deeper directories are not entered: each one on the way takes a descriptor. */
export const deepest = 512;

const slash = 0x2f;

/** What is wrong with the path of an entry; null when it is one that can be written. The empty path, of the root, is. */
export function pathFault(path: Uint8Array): string | null {
  if (path.length === 0) return null;
  if (path.includes(0)) return "its name has a NUL in it";
  let depth = 0;
  for (let from = 0; from <= path.length; depth++) {
    const at = path.indexOf(slash, from);
    const end = at < 0 ? path.length : at;
    if (end === from) return "a part of its path is empty";
    if (isDots(path.subarray(from, end))) return 'a part of its path is "." or ".."';
    from = end + 1;
  }
  return depth > deepest ? `it is deeper than ${deepest} directories` : null;
}

/** A name that is one part of a path. */
export function isName(name: Uint8Array): boolean {
  return name.length > 0 && !name.includes(slash) && pathFault(name) === null;
}

/** The path of the directory of an entry; of one in the root, and of the root, it is empty. */
export function parentOf(path: Uint8Array): Uint8Array {
  return path.subarray(0, Math.max(0, path.lastIndexOf(slash)));
}

export function nameOf(path: Uint8Array): Uint8Array {
  return path.subarray(path.lastIndexOf(slash) + 1);
}

/** Whether a path is below the one of a directory. */
export function isBelow(path: Uint8Array, directory: Uint8Array): boolean {
  if (directory.length === 0) return path.length > 0;
  return path[directory.length] === slash && samePath(path.subarray(0, directory.length), directory);
}

export function samePath(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}

function isDots(name: Uint8Array): boolean {
  return name.length <= 2 && name.every((byte) => byte === 0x2e);
}
