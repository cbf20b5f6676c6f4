/**
 * Whether QEMU gave up because another process uses one of its disks in a way that excludes this one. QEMU's words are from
 * raw_check_lock_bytes in its block/file-posix.c.
 *
 * @param qemuOutput what QEMU wrote
 */
export function isDiskInUse(qemuOutput: string): boolean {
  return /Failed to get (?:shared )?"[^"]*" lock/.test(qemuOutput);
}

/** Which disk it was, if QEMU says so; its "Is another process using the image" is a hint to the same error. */
export function diskInUse(qemuOutput: string): string | null {
  return /Is another process using the image \[(.+)\]\?/.exec(qemuOutput)?.[1] ?? null;
}
