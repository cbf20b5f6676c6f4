import { closeSync, readdirSync, readFileSync } from "node:fs";

/** fcntl(2) on x86-64 and arm64 Linux; proc(5) shows it in octal among a descriptor's flags. */
const closeOnExec = 0o2000000;

/**
 * Closes what this process inherited without being meant to, such as a script's lock or pipe: it would stay open for as long as
 * the sandbox, in this process and in QEMU. Node marks what it inherits itself, but looks no further than the first free number.
 * All that Node opens, and all that it knows of, is marked to be closed when another program is executed; the rest is foreign.
 *
 * @param meant the highest number that this process is given
 */
export function closeForeignDescriptors(meant: number): void {
  let numbers: number[];
  try {
    numbers = readdirSync("/proc/self/fd").map(Number);
  } catch {
    // Not on Linux.
    return;
  }
  for (const fd of numbers) {
    if (fd > meant && !isMarked(fd)) closeSync(fd);
  }
}

/** Also what cannot be looked at, such as the directory of this list, which is closed by now. */
function isMarked(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1];
    return flags === undefined || (Number.parseInt(flags, 8) & closeOnExec) !== 0;
  } catch {
    return true;
  }
}
