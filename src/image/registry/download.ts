import { open, unlink, type FileHandle } from "node:fs/promises";
import { ImageError, IoError } from "../../errors/index.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import { digestMismatch, hashFor, requireDigest } from "../digest.ts";
import { isKeptElsewhere, type Descriptor } from "../manifest.ts";
import { statusError } from "./client.ts";
import { connectionError } from "./connection-error.ts";
import type { HttpResponse } from "./http.ts";
import { backOff, isTransientFailure, isTransientStatus } from "./retry.ts";
import type { RegistrySession } from "./session.ts";

export interface Download {
  readonly session: RegistrySession;
  readonly repository: string;
  readonly descriptor: Descriptor;
  /** Names the blob in errors. */
  readonly what: string;
  /** Holds what earlier tries, of this process or of one that was killed, have received. */
  readonly partialPath: string;
  /** How much is there now, in bytes. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
  /** All bytes are there; what follows is their verification. */
  readonly onReceived?: (() => void) | undefined;
  readonly signal: AbortSignal | undefined;
}

/** What a connection must bring to count as progress, in bytes: otherwise a blob could take as many as it has bytes. */
const leastProgress = 64 << 10;

/**
 * Brings a blob into a file, from where an earlier try stopped. On return the file has the descriptor's size and digest and
 * has reached the disk. Nothing that lay in the file before is trusted: it is hashed with the rest.
 *
 * @throws ImageError when the registry's bytes are not the descriptor's; HttpError, IoError
 */
export async function downloadBlob(download: Download): Promise<void> {
  const file = await open(download.partialPath, "a+", 0o600).catch((error: unknown) => {
    throw ioError(`open ${download.partialPath}`, error);
  });
  try {
    const transfer = new Transfer(download, file);
    await transfer.readEarlier();
    await transfer.run();
    await file.sync();
  } catch (error) {
    // What came so far is kept for the next try, but not when it is what fills the disk for everyone.
    if (isFull(error)) await unlink(download.partialPath).catch(() => undefined);
    throw error;
  } finally {
    await file.close();
  }
}

function isFull(error: unknown): boolean {
  const code = error instanceof IoError ? errorCode(error.cause) : undefined;
  return code === "ENOSPC" || code === "EDQUOT";
}

class Transfer {
  readonly #download: Download;
  readonly #file: FileHandle;
  #hash;
  #received = 0;
  /** Whether some of the bytes were in the file before. */
  #resumed = false;
  /** Of the representation that the bytes are from, when it is a strong one. */
  #etag: string | null = null;

  constructor(download: Download, file: FileHandle) {
    this.#download = download;
    this.#file = file;
    this.#hash = hashFor(this.#digest);
  }

  get #digest(): ReturnType<typeof requireDigest> {
    return requireDigest(this.#download.descriptor.digest, this.#download.what);
  }

  async readEarlier(): Promise<void> {
    const { size } = await this.#file.stat();
    if (size > this.#download.descriptor.size) await this.#restart();
    if (size === 0 || size > this.#download.descriptor.size) return;
    const stream = this.#file.createReadStream({ start: 0, autoClose: false, highWaterMark: 1 << 20 });
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      this.#hash.update(chunk);
      this.#received += chunk.length;
    }
    this.#resumed = true;
  }

  async run(): Promise<void> {
    const { descriptor, session, signal, what } = this.#download;
    // How far it has ever come: bytes that come again after a restart are no progress.
    let furthest = this.#received;
    for (let attempt = 1; ; attempt += 1) {
      let retryAfter: string | undefined;
      let failure: unknown = null;
      if (this.#received < descriptor.size || descriptor.size === 0) {
        try {
          retryAfter = await this.#receive();
        } catch (error) {
          signal?.throwIfAborted();
          if (!isTransientFailure(error)) throw error;
          failure = error;
        }
      }
      if (this.#received === descriptor.size) {
        if (await this.#isRight()) return;
        // What a killed process left may have been damaged by a loss of power: once from the start.
        if (!this.#resumed) throw await this.#mismatch();
        this.#resumed = false;
        await this.#restart();
        attempt = 0;
        continue;
      }
      // A connection that brings something forward may break as often as it likes.
      if (this.#received >= furthest + leastProgress) {
        furthest = this.#received;
        attempt = 1;
      }
      if (attempt >= session.retry.attempts) {
        if (failure instanceof Error) throw failure;
        throw new ImageError(`${what} ends after ${this.#received} of ${descriptor.size} bytes`);
      }
      await backOff(attempt, session.retry, retryAfter, signal);
    }
  }

  /** One request. @returns what the server wants waited before the next one, if it does */
  async #receive(): Promise<string | undefined> {
    const { session, repository, descriptor, signal } = this.#download;
    const headers: Record<string, string> = {};
    if (this.#received > 0) {
      headers["range"] = `bytes=${this.#received}-`;
      if (this.#etag !== null) headers["if-range"] = this.#etag;
    }
    const path = `${repository}/blobs/${descriptor.digest}`;
    const response = await session.sendOnce({ method: "GET", path, repository, headers, signal });
    if (response.status !== 200 && response.status !== 206) {
      if (isTransientStatus(response.status)) return await this.#laterOrThrow(response);
      if (response.status === 416 && this.#received > 0) {
        response.body.destroy();
        await this.#restart();
        return undefined;
      }
      throw await this.#statusError(response);
    }
    try {
      await this.#begin(response);
      await this.#drain(response);
    } finally {
      response.body.destroy();
    }
    return undefined;
  }

  #transientAnswers = 0;

  /** A busy server is asked again as often as one that cannot be reached. */
  async #laterOrThrow(response: HttpResponse): Promise<string | undefined> {
    this.#transientAnswers += 1;
    if (this.#transientAnswers >= this.#download.session.retry.attempts) throw await statusError(response);
    response.body.destroy();
    return response.header("retry-after");
  }

  /** Makes sure that the bytes that follow belong where they are put. */
  async #begin(response: HttpResponse): Promise<void> {
    const { descriptor, what } = this.#download;
    const etag = response.header("etag") ?? null;
    const strong = etag !== null && etag.startsWith('"') ? etag : null;
    let start = 0;
    let total: number | null = null;
    if (response.status === 206) {
      const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.header("content-range") ?? "");
      start = Number(range?.[1] ?? -1);
      total = range === null || range[2] === "*" ? null : Number(range[2]);
      const other = this.#etag !== null && strong !== null && strong !== this.#etag;
      if (start !== this.#received || other) {
        await this.#restart();
        throw connectionError(response.url, new Error("it continues somewhere else than it was asked to"));
      }
    } else {
      const length = response.header("content-length");
      total = length === undefined ? null : Number(length);
      if (this.#received > 0) await this.#restart();
    }
    if (total !== null && total !== descriptor.size) {
      throw new ImageError(`${what} is ${total} bytes long, not ${descriptor.size} as its manifest says`);
    }
    this.#etag = strong;
  }

  async #drain(response: HttpResponse): Promise<void> {
    const { descriptor, what, onProgress } = this.#download;
    for await (const chunk of response.chunks()) {
      if (this.#received + chunk.length > descriptor.size) {
        throw new ImageError(`${what} is longer than the ${descriptor.size} bytes that its manifest says`);
      }
      try {
        await writeAll(this.#file, chunk);
      } catch (error) {
        throw ioError(`write ${this.#download.partialPath}`, error);
      }
      this.#hash.update(chunk);
      this.#received += chunk.length;
      onProgress?.(this.#received);
    }
  }

  async #isRight(): Promise<boolean> {
    this.#download.onReceived?.();
    return this.#hash.copy().digest("hex") === this.#digest.hex;
  }

  async #mismatch(): Promise<ImageError> {
    const { what, descriptor } = this.#download;
    const found = `${this.#digest.algorithm}:${this.#hash.copy().digest("hex")}`;
    await this.#restart();
    return digestMismatch(what, descriptor.digest, found);
  }

  async #restart(): Promise<void> {
    await this.#file.truncate(0);
    this.#hash = hashFor(this.#digest);
    this.#received = 0;
    this.#etag = null;
  }

  async #statusError(response: HttpResponse): Promise<Error> {
    const { session, repository, what, descriptor } = this.#download;
    if (response.status === 403) return await session.refused(repository, response);
    if (response.status !== 404) return await statusError(response);
    response.body.destroy();
    if (isKeptElsewhere(descriptor)) {
      return new ImageError(`the registry does not have ${what}, which is kept outside of it`, {
        hint: "Such layers are those of Windows images, which cannot run here.",
      });
    }
    return new ImageError(`the registry does not have ${what}`);
  }
}

async function writeAll(file: FileHandle, chunk: Buffer): Promise<void> {
  for (let offset = 0; offset < chunk.length;) {
    offset += (await file.write(chunk, offset)).bytesWritten;
  }
}
