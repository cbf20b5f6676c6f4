import { access, constants, realpath } from "node:fs/promises";
import { basename, delimiter, join } from "node:path";

/**
 * How QEMU is made to die with the process that started it, even when that one is killed with SIGKILL.
 *
 * - `pdeathsig` (Linux with util-linux): the kernel kills QEMU, see prctl(2), PR_SET_PDEATHSIG. The kernel means the
 *   thread that forked, so machines are started on Node's main thread.
 * - `watcher` (elsewhere): a shell waits on a pipe from the parent and kills QEMU when the pipe closes.
 */
export type Lifeline =
  { readonly kind: "pdeathsig"; readonly setpriv: string } | { readonly kind: "watcher" };

/** The descriptor of the watcher's end of its pipe. */
export const watcherFd = 6;

/** Ends the watcher without harm: the process it watches has ended by itself. */
export const watcherRelease = "ended\n";

// prctl comes first, so that a parent that dies after this comparison is noticed by the kernel and one that died
// before it by the comparison.
const checkParent = '[ "$PPID" = "$1" ] || exit 125; shift; exec "$@"';

// In a subshell $$ is the main shell's pid, which is QEMU's after exec. The watcher keeps none of QEMU's descriptors.
const watchParent = `( exec 3<&- 4<&- 5<&- 7<&- 8<&- >/dev/null 2>&1; trap '' HUP INT QUIT TERM
  IFS= read -r word <&${watcherFd} || kill -KILL "$$" ) &
exec "$@" ${watcherFd}<&-`;

/**
 * The command that runs `command` in the same process, tied to the life of `parentPid`.
 *
 * @param parentPid the process that will spawn the result
 */
export function tieToParent(lifeline: Lifeline, parentPid: number, command: readonly string[]): string[] {
  if (lifeline.kind === "watcher") return ["/bin/sh", "-c", watchParent, "msb-watcher", ...command];
  return [lifeline.setpriv, "--pdeathsig", "KILL", "--"].concat(
    ["/bin/sh", "-c", checkParent, "msb-guard", String(parentPid)],
    command,
  );
}

/** Finds the best lifeline this host has. */
export async function findLifeline(environment: NodeJS.ProcessEnv = process.env): Promise<Lifeline> {
  if (process.platform !== "linux") return { kind: "watcher" };
  const setpriv = await findProgram("setpriv", environment);
  // Busybox has a setpriv without --pdeathsig.
  if (setpriv === null || basename(await realpath(setpriv)) === "busybox") return { kind: "watcher" };
  return { kind: "pdeathsig", setpriv };
}

/** The absolute path of an executable file that PATH leads to, or null. */
export async function findProgram(
  name: string,
  environment: NodeJS.ProcessEnv = process.env,
  furtherDirectories: readonly string[] = [],
): Promise<string | null> {
  const directories = [...(environment["PATH"] ?? "").split(delimiter), ...furtherDirectories];
  for (const directory of directories) {
    if (!directory.startsWith("/")) continue;
    const path = join(directory, name);
    try {
      await access(path, constants.X_OK);
      return path;
    } catch {
      // Not here.
    }
  }
  return null;
}
