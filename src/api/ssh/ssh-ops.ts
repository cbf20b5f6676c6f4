import { resolve } from "node:path";
import { checkFlag } from "../../config/checks.ts";
import { checkString } from "../../config/guest-text.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import type { SshClient } from "../../ssh/client/ssh-client.ts";
import type { SshServer } from "../../ssh/server/ssh-server.ts";
import { readGlobalConfig } from "../../store/global-config.ts";
import type { Home } from "../../store/home.ts";
import { GuestDoor, type SshSandbox } from "./guest-door.ts";

/** How an SSH client is opened. */
export interface SshClientOptions extends WaitOptions {
  /** Who it is in the guest: a name or a uid, with or without a group; by default root. */
  readonly user?: string | undefined;
  /** TERM of its terminals; by default that of this process. */
  readonly term?: string | undefined;
  /** Whether it has SFTP; by default it has. */
  readonly sftp?: boolean | undefined;
  /** As of {@link SshServerOptions}. */
  readonly inactivityTimeoutSecs?: number | undefined;
}

/** How an SSH server is prepared. */
export interface SshServerOptions extends WaitOptions {
  /** File of the key that it proves with who it is; made if it is not there. By default `ssh/host_ed25519` in the sandbox's directory. */
  readonly hostKeyPath?: string | undefined;
  /** File of the keys that open it; by default `ssh/authorized_keys` in the home of microsandbox. */
  readonly authorizedKeysPath?: string | undefined;
  /** Who all clients are in the guest; by default whom each says that it is: `ssh alice@…` is the guest's alice. */
  readonly user?: string | undefined;
  /** Whether clients have SFTP; by default they have. */
  readonly sftp?: boolean | undefined;
  /**
   * A connection on which nothing has passed for so many seconds is ended; 0: never. By default `ssh.inactivity_timeout_secs` of
   * `config.json`, or 600.
   */
  readonly inactivityTimeoutSecs?: number | undefined;
}

const defaultInactivitySecs = 600;
/** What fits into the 32 bits that others give it. */
const longestInactivitySecs = 2 ** 32 - 1;

/**
 * SSH for a sandbox. There is no sshd in the guest: this process speaks SSH, and does with the sandbox what every program can do with it.
 *
 * @example
 * ```ts
 * import { Sandbox } from "microsandbox";
 *
 * await using sandbox = await Sandbox.builder("ssh-example").image("localhost/base").replace().create();
 * await using client = await sandbox.ssh().openClient({ user: "nobody" });
 * console.log((await client.exec("id -un")).stdout.toString().trim()); // nobody
 * ```
 */
export class SandboxSshOps {
  readonly #sandbox: SshSandbox;
  readonly #home: Home;
  readonly #directory: string;

  /** @internal @param directory the sandbox's */
  constructor(sandbox: SshSandbox, home: Home, directory: string) {
    this.#sandbox = sandbox;
    this.#home = home;
    this.#directory = directory;
  }

  /**
   * Opens a client in this process: without a port, and without keys.
   *
   * @throws RangeError for an inactivity timeout that is none; RuntimeError when the guest has no such user; SandboxNotRunningError
   */
  async openClient(options: SshClientOptions = {}): Promise<SshClient> {
    const open = async (operation: Operation): Promise<SshClient> => {
      const inactivityMs = await this.#inactivityMs(options.inactivityTimeoutSecs);
      const [{ SshClient }, { terminalDoor }] = await Promise.all([
        import("../../ssh/client/ssh-client.ts"),
        import("./terminal-door.ts"),
      ]);
      const settings = {
        guest: new GuestDoor(this.#sandbox),
        user: options.user === undefined ? "root" : checkString("user", options.user),
        term: options.term === undefined ? null : checkString("term", options.term),
        sftp: options.sftp === undefined || checkFlag("sftp", options.sftp),
        ...{ inactivityMs, terminal: terminalDoor },
      };
      return await SshClient.open(settings, operation);
    };
    const others = { user: "any", term: "any", sftp: "any", inactivityTimeoutSecs: "any" } as const;
    return await Operation.run(`open an SSH client of sandbox ${this.#sandbox.name}`, options, open, others);
  }

  /**
   * Prepares a server, which then serves one connection on standard input and output, or listens. The sandbox's host key is made if this is
   * the first one.
   *
   * @throws RangeError for an inactivity timeout that is none; IoError for keys that others can read, or that cannot be made
   */
  async prepareServer(options: SshServerOptions = {}): Promise<SshServer> {
    const prepare = async (): Promise<SshServer> => {
      const inactivityMs = await this.#inactivityMs(options.inactivityTimeoutSecs);
      const { prepareServer } = await import("../../ssh/server/prepare-server.ts");
      const path = (name: string, given: string | undefined): string | null =>
        given === undefined ? null : resolve(checkString(name, given));
      return await prepareServer({
        guest: new GuestDoor(this.#sandbox),
        home: this.#home.root,
        directory: this.#directory,
        hostKeyPath: path("hostKeyPath", options.hostKeyPath),
        authorizedKeysPath: path("authorizedKeysPath", options.authorizedKeysPath),
        user: options.user === undefined ? null : checkString("user", options.user),
        sftp: options.sftp === undefined || checkFlag("sftp", options.sftp),
        inactivityMs,
      });
    };
    const names = ["hostKeyPath", "authorizedKeysPath", "user", "sftp", "inactivityTimeoutSecs"];
    const others = Object.fromEntries(names.map((name) => [name, "any"] as const));
    return await Operation.run(`prepare SSH for sandbox ${this.#sandbox.name}`, options, prepare, others);
  }

  async #inactivityMs(given: number | undefined): Promise<number> {
    if (given !== undefined) {
      if (!Number.isInteger(given) || given < 0 || given > longestInactivitySecs)
        throw new RangeError(
          `inactivityTimeoutSecs is no whole number from 0 to ${longestInactivitySecs}: ${String(given)}`,
        );
      return given * 1000;
    }
    const { ssh } = await readGlobalConfig(this.#home);
    return (ssh?.inactivity_timeout_secs ?? defaultInactivitySecs) * 1000;
  }
}
