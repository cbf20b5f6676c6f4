import { execFile } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { readResolvConf } from "./resolv-conf.ts";
import { readScutil, type ScopedServers } from "./scutil.ts";
import type { Server } from "./server.ts";

/** The host's configuration is looked at again after so long, ms: a `stat`, and on macOS a program. */
const lookAgainMs = { file: 1_000, scutil: 5_000 };

export interface HostResolversOptions {
  readonly platform?: NodeJS.Platform;
  readonly resolvConf?: string;
  /** What `scutil --dns` prints. */
  readonly scutil?: () => Promise<string>;
}

/**
 * The resolvers that the host itself uses, as they are now. Nothing watches the file: a question that comes looks whether it has changed,
 * at most once a second, so a sandbox that asks nothing costs nothing, and a file that is replaced by a rename or a link that
 * leads elsewhere is seen as well.
 */
export class HostResolvers {
  readonly #isMac: boolean;
  readonly #resolvConf: string;
  readonly #scutil: () => Promise<string>;
  #sets: readonly ScopedServers[] = [];
  #lookedAt = -Infinity;
  #looking: Promise<void> | null = null;
  #fileVersion = "";

  constructor({
    platform = process.platform,
    resolvConf = "/etc/resolv.conf",
    scutil = runScutil,
  }: HostResolversOptions = {}) {
    this.#isMac = platform === "darwin";
    this.#resolvConf = resolvConf;
    this.#scutil = scutil;
  }

  /** @param name in lower case without the dot at the end: on macOS, servers may be for some names only */
  async for(name: string): Promise<readonly Server[]> {
    const again = this.#isMac ? lookAgainMs.scutil : lookAgainMs.file;
    if (performance.now() - this.#lookedAt >= again)
      this.#looking ??= this.#look().finally(() => {
        this.#lookedAt = performance.now();
        this.#looking = null;
      });
    if (this.#looking !== null) await this.#looking;
    return serversFor(this.#sets, name);
  }

  async #look(): Promise<void> {
    if (this.#isMac) {
      const sets = await this.#scutil().then(readScutil, () => []);
      if (sets.length > 0) {
        this.#sets = sets;
        return;
      }
    }
    try {
      // Follows the link that it mostly is.
      const { dev, ino, mtimeMs, ctimeMs, size } = await stat(this.#resolvConf);
      const version = [dev, ino, mtimeMs, ctimeMs, size].join(" ");
      if (version === this.#fileVersion) return;
      this.#sets = [{ domain: "", servers: readResolvConf(await readFile(this.#resolvConf, "utf8")) }];
      this.#fileVersion = version;
    } catch {
      this.#fileVersion = "";
      this.#sets = [{ domain: "", servers: readResolvConf("") }];
    }
  }
}

/** Those whose domain is the longest end of the name. */
export function serversFor(sets: readonly ScopedServers[], name: string): readonly Server[] {
  let best: ScopedServers | null = null;
  for (const set of sets) {
    const matches = set.domain === "" || name === set.domain || name.endsWith(`.${set.domain}`);
    if (matches && (best === null || set.domain.length > best.domain.length)) best = set;
  }
  return best?.servers ?? [];
}

function runScutil(): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  execFile("/usr/sbin/scutil", ["--dns"], { timeout: 5_000 }, (error, stdout) => {
    if (error === null) resolve(stdout);
    else reject(error);
  });
  return promise;
}
