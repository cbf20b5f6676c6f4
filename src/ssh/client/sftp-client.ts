import type { SFTPWrapper } from "ssh2";
import { RuntimeError, SandboxFsError } from "../../errors/index.ts";
import type { WaitOptions } from "../../host/operation.ts";
import { Operation } from "../../host/operation.ts";

/** Statuses of SFTP that are errors of the system (draft-ietf-secsh-filexfer-02, 7). */
const errnos: ReadonlyMap<number, readonly [number, string]> = new Map([
  [2, [2, "ENOENT"]],
  [3, [13, "EACCES"]],
]);

type Callback<T> = (error: Error | null | undefined, value: T) => void;

/**
 * Files of a sandbox over SFTP, as the session's user: what he may not do in the guest fails. Paths that are not absolute begin in his home
 * directory. `sandbox.fs()` does the same as root, and more.
 *
 * @example
 * ```ts
 * import { Sandbox } from "microsandbox";
 *
 * await using sandbox = await Sandbox.builder("sftp-example").image("localhost/base").replace().create();
 * await using client = await sandbox.ssh().openClient();
 * await using sftp = await client.sftp();
 * await sftp.write("note.txt", "hello");
 * console.log((await sftp.read("note.txt")).toString()); // hello
 * ```
 */
export class SftpClient implements AsyncDisposable {
  readonly #sftp: SFTPWrapper;
  readonly #gone: AbortSignal;

  /** @internal */
  constructor(sftp: SFTPWrapper, gone: AbortSignal) {
    this.#sftp = sftp;
    this.#gone = gone;
    sftp.on("error", () => undefined);
  }

  /** All of a file. @throws SandboxFsError */
  async read(path: string, options: WaitOptions = {}): Promise<Buffer> {
    return await this.#ask<Buffer>("read", path, options, (done) => this.#sftp.readFile(path, done as never));
  }

  /** Writes a file, new or over what it had. @param data bytes, or a string as UTF-8 @throws SandboxFsError */
  async write(path: string, data: string | Uint8Array, options: WaitOptions = {}): Promise<void> {
    const bytes = Buffer.from(data as Uint8Array);
    await this.#ask("write", path, options, (done) => this.#sftp.writeFile(path, bytes, done as never));
  }

  /** Makes a directory; the one above it has to be there. @throws SandboxFsError */
  async mkdir(path: string, options: WaitOptions = {}): Promise<void> {
    await this.#ask("mkdir", path, options, (done) => this.#sftp.mkdir(path, done as never));
  }

  /** Removes a file, or a link. @throws SandboxFsError */
  async removeFile(path: string, options: WaitOptions = {}): Promise<void> {
    await this.#ask("remove", path, options, (done) => this.#sftp.unlink(path, done as never));
  }

  /** Removes an empty directory. @throws SandboxFsError */
  async removeDir(path: string, options: WaitOptions = {}): Promise<void> {
    await this.#ask("remove", path, options, (done) => this.#sftp.rmdir(path, done as never));
  }

  /** Gives a file or a directory another name. Nothing is replaced: what has that name already is an error. @throws SandboxFsError */
  async rename(from: string, to: string, options: WaitOptions = {}): Promise<void> {
    await this.#ask("rename", from, options, (done) => this.#sftp.rename(from, to, done as never));
  }

  /** The absolute path, without links, of what need not be there, but for its directory. @throws SandboxFsError */
  async realPath(path: string, options: WaitOptions = {}): Promise<string> {
    return await this.#ask<string>("realpath", path, options, (done) => this.#sftp.realpath(path, done));
  }

  /** Where a link leads. @throws SandboxFsError */
  async readLink(path: string, options: WaitOptions = {}): Promise<string> {
    return await this.#ask<string>("readlink", path, options, (done) => this.#sftp.readlink(path, done));
  }

  // The package has the draft's order for whoever is not OpenSSH; the server has OpenSSH's, as all do.
  /** Makes a link that leads to a target, which need not be there. @throws SandboxFsError */
  async symlink(target: string, link: string, options: WaitOptions = {}): Promise<void> {
    await this.#ask("symlink", link, options, (done) => this.#sftp.symlink(link, target, done as never));
  }

  /** Ends it; its client goes on. */
  async close(): Promise<void> {
    this.#sftp.end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #ask<T>(
    verb: string,
    path: string,
    options: WaitOptions,
    ask: (done: Callback<T>) => unknown,
  ): Promise<T> {
    return await Operation.run(`${verb} ${JSON.stringify(path)} over SFTP`, options, async (operation) => {
      operation.throwIfOver();
      const lost = Promise.withResolvers<never>();
      const onGone = (): void => {
        lost.reject(
          new RuntimeError("the SSH connection ended", { hint: "Open another client: openClient()" }),
        );
      };
      if (this.#gone.aborted) onGone();
      this.#gone.addEventListener("abort", onGone, { once: true });
      const answer = new Promise<T>((resolve, reject) => {
        ask((error, value) => {
          if (error === null || error === undefined) resolve(value);
          else reject(failure(verb, path, error));
        });
      });
      try {
        return await operation.wait(Promise.race([answer, lost.promise]));
      } finally {
        this.#gone.removeEventListener("abort", onGone);
      }
    });
  }
}

function failure(operation: string, path: string, error: Error & { code?: unknown }): SandboxFsError {
  const [errno, errnoName] = errnos.get(Number(error.code)) ?? [null, null];
  return new SandboxFsError(
    `${operation}: ${error.message}: ${path}`,
    { operation, path, errno, errnoName },
    {
      cause: error,
      hint:
        errnoName === "EACCES" ? "The session's user may not: open a client for another user." : undefined,
    },
  );
}
