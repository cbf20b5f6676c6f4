/** The Debian's programs on the host's side, below their own root directory, on which nothing stays of what they write. */
import { execFile, execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { debianTree } from "./debian-tree.ts";

const run = promisify(execFile);

export interface DaemonOptions {
  /** User and group, as `postgres:postgres`. */
  readonly user?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** A root directory with everything of the Debian in it, in this test's mounts alone. */
export class Tree implements AsyncDisposable {
  readonly root: string;
  readonly #daemons = new Set<ChildProcess>();

  private constructor(root: string) {
    this.root = root;
  }

  static async open(): Promise<Tree> {
    const lower = await debianTree();
    const memory = join(dirname(lower), "mounted");
    await mkdir(memory, { recursive: true });
    const root = join(memory, "root");
    const mount = (...args: readonly string[]): unknown => execFileSync("mount", args);
    // Only these processes see it: the mounts are theirs.
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", memory);
    for (const name of ["upper", "work", "root"]) await mkdir(join(memory, name));
    const layers = `lowerdir=${lower},upperdir=${memory}/upper,workdir=${memory}/work`;
    mount("-t", "overlay", "-o", layers, "overlay", root);
    mount("-t", "proc", "proc", join(root, "proc"));
    mount("--rbind", "/dev", join(root, "dev"));
    mount("-t", "tmpfs", "tmpfs", join(root, "run"));
    return new Tree(root);
  }

  /** Runs a script to its end. @returns its standard output */
  async shell(script: string): Promise<string> {
    const command = ["chroot", this.root, "sh", "-euc", script];
    const { stdout } = await run("env", command, {
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C.UTF-8" },
      maxBuffer: 1 << 26,
    });
    return stdout;
  }

  /** Starts a program that is killed at the end, and with whoever started it. */
  spawn(command: readonly string[], { user, environment = {} }: DaemonOptions = {}): ChildProcess {
    const as = user === undefined ? [] : [`--userspec=${user}`];
    const child = spawn("chroot", [...as, this.root, "setpriv", "--pdeathsig", "KILL", "--", ...command], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C.UTF-8", ...environment },
    });
    this.#daemons.add(child);
    child.once("close", () => this.#daemons.delete(child));
    return child;
  }

  /** Starts a server, and waits for a line of its output that says that it serves. */
  async daemon(
    command: readonly string[],
    serves: RegExp,
    options: DaemonOptions = {},
  ): Promise<ChildProcess> {
    const child = this.spawn(command, options);
    const said: string[] = [];
    await new Promise<void>((resolve, reject) => {
      for (const stream of [child.stdout, child.stderr])
        if (stream !== null)
          createInterface({ input: stream }).on("line", (line) => {
            said.push(line);
            if (serves.test(line)) resolve();
          });
      child.once("close", (code) =>
        reject(new Error(`${command.join(" ")} ended with ${String(code)}: ${said.join("\n")}`)),
      );
      child.once("error", reject);
    });
    return child;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      [...this.#daemons].map(async (child) => {
        const closed = once(child, "close");
        child.kill("SIGKILL");
        await closed;
      }),
    );
    execFileSync("umount", ["-l", dirname(this.root)]);
  }
}
