import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";

/** What a home and the process that uses it hold at one moment. */
export interface Resources {
  /** Supervisors and QEMUs of the home, and ended children of this process that it has not taken note of. */
  readonly processes: readonly string[];
  /** What the descriptors of this process stand for. */
  readonly descriptors: readonly string[];
  /** Those that are sockets. */
  readonly sockets: readonly string[];
  /** Paths in the home, its sockets included, in alphabetical order. */
  readonly files: readonly string[];
  /** What the home takes on the disk. */
  readonly diskBytes: number;
}

/** Looks at /proc, so it is for Linux. */
export async function resourcesOf(home: string): Promise<Resources> {
  // First and alone: to look at the rest takes descriptors too.
  const descriptors = await openDescriptors();
  const [processes, entries] = await Promise.all([processesOfHome(home), entriesOf(home)]);
  return {
    processes,
    descriptors,
    sockets: descriptors.filter((target) => target.startsWith("socket:")),
    files: entries.map(({ path }) => path).sort(),
    diskBytes: entries.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/** `PID COMMAND` of each. */
async function processesOfHome(home: string): Promise<string[]> {
  const found = await Promise.all(
    (await readdir("/proc"))
      .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
      .map(async (pid) => ((await belongsTo(home, pid)) ? `${pid} ${await commandOf(pid)}` : null)),
  );
  return found.filter((one) => one !== null);
}

async function belongsTo(home: string, pid: string): Promise<boolean> {
  // proc_pid_stat(5): after the name in parentheses the state and the parent.
  const stat = await read(pid, "stat");
  const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (state === "Z") return Number(parent) === process.pid;
  const commandLine = await read(pid, "cmdline");
  // QEMU is told the paths of its disks.
  if (commandLine.includes(`${home}/`)) return true;
  // Options of Node stand before it.
  const isSupervisor = /\0[^\0]*\/supervisor\/main\.[jt]s\0/.test(commandLine);
  return isSupervisor && (await read(pid, "environ")).split("\0").includes(`MSB_HOME=${home}`);
}

async function commandOf(pid: string): Promise<string> {
  return (await read(pid, "cmdline")).split("\0").slice(0, 4).join(" ");
}

function read(pid: string, file: string): Promise<string> {
  return readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
}

async function openDescriptors(): Promise<string[]> {
  const directory = "/proc/self/fd";
  const targets = await Promise.all(
    (await readdir(directory)).map((fd) => readlink(join(directory, fd)).catch(() => null)),
  );
  // The one that the directory itself was read with is closed by now.
  return targets.filter((target) => target !== null);
}

interface Entry {
  readonly path: string;
  readonly bytes: number;
}

async function entriesOf(home: string): Promise<Entry[]> {
  const names = await readdir(home, { recursive: true });
  const entries = await Promise.all(
    names.map(async (path) => {
      const found = await lstat(join(home, path)).catch(() => null);
      // stat(2): a block has 512 bytes here, whatever the file system's have.
      return found === null ? null : { path, bytes: found.blocks * 512 };
    }),
  );
  return entries.filter((entry) => entry !== null);
}
