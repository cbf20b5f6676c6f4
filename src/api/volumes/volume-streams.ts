import type { FileHandle } from "node:fs/promises";
import { bytesOf, type FsData } from "../fs/contents.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { volumeError } from "./volume-place.ts";
import { RuntimeError, SandboxFsError } from "../../errors/index.ts";
import type { AsideFile } from "./volume-write.ts";

/** The most that one chunk holds, bytes. */
const chunkBytes = 3 * 1024 * 1024;

/** The bytes of a file of a volume, one chunk after the other. Reading to the end or disposing of it closes the file. */
export class VolumeFsReadStream implements AsyncDisposable {
  readonly #path: string;
  readonly #file: FileHandle;
  #ended = false;
  /** What was read and nobody has taken: a call that is given up takes nothing. */
  #chunk: Promise<Buffer | null> | null = null;
  /** Calls take their turns. */
  #turn: Promise<void> = Promise.resolve();

  /** @internal */
  constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  /** The next bytes, at most 3 MiB; null at the end, and ever after. @throws IoError */
  async recv(options: WaitOptions = {}): Promise<Buffer | null> {
    return await this.#inTurn(options, (operation) => this.#take(operation));
  }

  /** All that is left. @throws IoError */
  async collect(options: WaitOptions = {}): Promise<Buffer> {
    return await this.#inTurn(options, async (operation) => {
      const chunks: Buffer[] = [];
      for (;;) {
        const chunk = await this.#take(operation);
        if (chunk === null) return Buffer.concat(chunks);
        chunks.push(chunk);
      }
    });
  }

  async #inTurn<T>(options: WaitOptions, work: (operation: Operation) => Promise<T>): Promise<T> {
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    try {
      return await Operation.run(this.#action, options, async (operation) => {
        await operation.wait(before);
        return await work(operation);
      });
    } finally {
      void before.then(resolve);
    }
  }

  async #take(operation: Operation): Promise<Buffer | null> {
    const read = (this.#chunk ??= this.#next());
    // Who gives up does not hear how it ends.
    read.catch(() => undefined);
    try {
      const chunk = await operation.wait(read);
      this.#chunk = null;
      return chunk;
    } catch (error) {
      if (!operation.signal.aborted) this.#chunk = null;
      throw error;
    }
  }

  get #action(): string {
    return `read ${JSON.stringify(this.#path)} in the volume`;
  }

  async #next(): Promise<Buffer | null> {
    if (this.#ended) return null;
    try {
      const buffer = Buffer.allocUnsafe(chunkBytes);
      const { bytesRead } = await this.#file.read(buffer, 0, chunkBytes, null);
      if (bytesRead > 0) return buffer.subarray(0, bytesRead);
    } catch (error) {
      await this[Symbol.asyncDispose]();
      throw volumeError(this.#action, error);
    }
    await this[Symbol.asyncDispose]();
    return null;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    try {
      for (let chunk = await this.recv(); chunk !== null; chunk = await this.recv()) yield chunk;
    } finally {
      await this[Symbol.asyncDispose]();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#file.close();
  }
}

/**
 * Writes a file of a volume. It is written aside and takes its place with `close()`: until then, and when a write has failed, what was
 * there stays as it was.
 */
export class VolumeFsWriteSink implements AsyncDisposable {
  readonly #path: string;
  readonly #aside: AsideFile;
  /** What was asked for so far, in order. */
  #work: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | null = null;
  #closing: Promise<void> | null = null;
  #aborted: Promise<void> | null = null;

  /** @internal */
  constructor(path: string, aside: AsideFile) {
    this.#path = path;
    this.#aside = aside;
  }

  /** Appends; text as UTF-8. @throws IoError; InvalidConfigError; SandboxFsError after `close()` */
  async write(data: FsData, options: WaitOptions = {}): Promise<void> {
    if (this.#closing !== null || this.#aborted !== null) {
      throw new SandboxFsError(
        `${JSON.stringify(this.#path)} is closed`,
        { operation: "write", path: this.#path, errno: null, errnoName: null },
        { hint: "Write before close()." },
      );
    }
    const bytes = bytesOf(data);
    this.#work = this.#work.then(async () => {
      if (this.#failure !== null) return;
      try {
        await this.#aside.write(bytes);
      } catch (error) {
        this.#failure = { error };
      }
    });
    await this.#wait("write", options, this.#work);
    this.#throwFailure();
  }

  /**
   * Puts the file in its place. Again does nothing.
   *
   * @throws IoError, of an earlier write too: nothing has changed then; RuntimeError after {@link abort}
   */
  async close(options: WaitOptions = {}): Promise<void> {
    if (this.#aborted !== null) throw new RuntimeError(`${JSON.stringify(this.#path)} was given up`);
    this.#closing ??= this.#finish();
    await this.#wait("close", options, this.#closing);
  }

  /** Gives it up: what was there stays as it was, and nothing is left beside it. After {@link close} it is too late. */
  async abort(options: WaitOptions = {}): Promise<void> {
    if (this.#closing !== null) return;
    this.#aborted ??= this.#work.then(() => this.#aside.discard());
    await this.#wait("give up", options, this.#aborted);
  }

  /** Closes it, unless it was aborted: after an error too, so a half that must not be seen is to be given up with {@link abort}. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#aborted === null) await this.close();
  }

  /** Giving up ends the waiting: what was asked for goes on. */
  async #wait(action: string, options: WaitOptions, work: Promise<void>): Promise<void> {
    // Who gives up does not hear how it ends; `close()` tells.
    work.catch(() => undefined);
    await Operation.run(`${action} ${JSON.stringify(this.#path)} in the volume`, options, (operation) =>
      operation.wait(work),
    );
  }

  async #finish(): Promise<void> {
    await this.#work;
    if (this.#failure !== null) await this.#aside.discard();
    this.#throwFailure();
    try {
      await this.#aside.commit();
    } catch (error) {
      this.#failure = { error };
    }
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure === null) return;
    throw volumeError(`write ${JSON.stringify(this.#path)} in the volume`, this.#failure.error);
  }
}
