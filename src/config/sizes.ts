declare const mebibytes: unique symbol;

/** A size in MiB (1048576 bytes). Any setter that takes one also takes a plain number of MiB. */
export type Mebibytes = number & { readonly [mebibytes]?: true };

/** @example `KiB(512)` is half a MiB */
export function KiB(count: number): Mebibytes {
  return count / 1024;
}

export function MiB(count: number): Mebibytes {
  return count;
}

export function GiB(count: number): Mebibytes {
  return count * 1024;
}

export function TiB(count: number): Mebibytes {
  return count * 1024 * 1024;
}
