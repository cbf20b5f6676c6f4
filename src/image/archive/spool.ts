import { createHash, type Hash } from "node:crypto";
import { open, type FileHandle } from "node:fs/promises";
import { join, posix } from "node:path";
import type { Readable } from "node:stream";
import { ImageError } from "../../errors/index.ts";
import { errorCode } from "../../host/system-error.ts";
import { limitHint } from "../erofs/budget.ts";
import { decompress } from "../import/decompress.ts";
import { quote, type TarEntry } from "../tar/entry.ts";
import { TarReader, type TarVisitor } from "../tar/reader.ts";

/** A file of an archive, put aside under a number: its own name never becomes a path on this machine. */
export interface SpooledFile {
  readonly path: string;
  readonly size: number;
  /** `sha256:…`; null when the file was not put aside but is the user's own, which is neither moved nor trusted. */
  readonly digest: string | null;
}

/** What an archive holds, by normalized name. */
export class SpooledArchive {
  readonly files = new Map<string, SpooledFile>();
  /** Name → the name it stands for. Old docker wrote a layer that occurs twice as a symbolic link. */
  readonly links = new Map<string, string>();

  /** Name → why what stands there cannot be read. */
  readonly unusable = new Map<string, string>();

  /** @returns undefined when there is no such file */
  find(name: string): SpooledFile | undefined {
    let current = normalize(name);
    for (let followed = 0; followed < 8; followed += 1) {
      const file = this.files.get(current);
      if (file !== undefined) return file;
      const target = this.links.get(current);
      if (target === undefined) return undefined;
      current = target;
    }
    return undefined;
  }
}

/** Many images with many layers each; a bomb of empty files has more. */
const maximumEntries = 100_000;

/**
 * Puts the files of an archive aside in `directory`, which is the caller's to remove.
 *
 * @param what how errors call the source
 * @param maximumBytes of all files together, uncompressed
 * @throws ImageError when it is no tar archive, is damaged or too large; IoError
 */
export async function spoolArchive(
  source: Readable,
  what: string,
  directory: string,
  maximumBytes: number,
  signal: AbortSignal | undefined,
): Promise<SpooledArchive> {
  const writer = new SpoolWriter(directory, maximumBytes);
  const reader = new TarReader(writer);
  try {
    for await (const chunk of decompress(source)) {
      signal?.throwIfAborted();
      reader.push(chunk);
      await writer.flush();
    }
    reader.end();
    await writer.flush();
  } catch (error) {
    const isCompression = /^(Z_|ZSTD_|ERR_ZSTD)/.test(errorCode(error) ?? "");
    if (!isCompression && !(error instanceof ImageError && writer.isEmpty)) throw error;
    // Before the first file: what is wrong with a header is of no interest to who took the wrong file.
    if (!isCompression)
      throw noArchive(`${what} is no tar archive, plain or compressed with gzip or zstd`, error);
    throw new ImageError("the archive's compressed data is damaged", { cause: error });
  } finally {
    source.destroy();
    await writer.close();
  }
  if (writer.isEmpty) throw noArchive(`${what} is empty`, undefined);
  return writer.archive;
}

function noArchive(message: string, cause: unknown): ImageError {
  return new ImageError(message, {
    cause,
    hint: "Archives of images are made by docker save, podman save, skopeo or msb save. Undo other compressions first.",
  });
}

type Step =
  | { readonly kind: "open"; readonly name: string }
  | { readonly kind: "data"; readonly bytes: Buffer }
  | { readonly kind: "close" };

/** The tar reader calls without waiting, so what it says is noted and done after each piece of the archive. */
class SpoolWriter implements TarVisitor {
  readonly archive = new SpooledArchive();
  readonly #directory: string;
  readonly #maximumBytes: number;
  #steps: Step[] = [];
  #entries = 0;
  #bytes = 0;
  #isFile = false;
  #current: { name: string; path: string; file: FileHandle; hash: Hash; size: number } | null = null;
  readonly #names = new Set<string>();

  constructor(directory: string, maximumBytes: number) {
    this.#directory = directory;
    this.#maximumBytes = maximumBytes;
  }

  /** Whether no entry has come yet. */
  get isEmpty(): boolean {
    return this.#entries === 0;
  }

  entry(entry: TarEntry): void {
    this.#entries += 1;
    if (this.#entries > maximumEntries) throw new ImageError("the archive has too many entries");
    const name = normalize(entry.name);
    this.#isFile = entry.type === "file";
    if (entry.type === "directory") return;
    // Two files under one name: which one is meant would depend on who reads.
    if (this.#names.has(name)) throw new ImageError(`the archive has ${quote(name)} twice`);
    this.#names.add(name);
    if (entry.type === "symlink") {
      this.archive.links.set(name, normalize(posix.join(posix.dirname(name), entry.linkName)));
    } else if (entry.type === "hardLink") {
      this.archive.links.set(name, normalize(entry.linkName));
    } else if (entry.type !== "file" || entry.sparse !== null) {
      throw new ImageError(`the archive has ${quote(name)}, which is no plain file`);
    } else {
      this.#bytes += entry.size;
      if (this.#bytes > this.#maximumBytes) {
        throw new ImageError(`the archive's files are larger than ${this.#maximumBytes} bytes together`, {
          hint: limitHint("max_unpacked_mib"),
        });
      }
      this.#steps.push({ kind: "open", name });
    }
  }

  data(bytes: Uint8Array): void {
    if (this.#isFile) this.#steps.push({ kind: "data", bytes: Buffer.from(bytes) });
  }

  finish(): void {
    if (this.#isFile) this.#steps.push({ kind: "close" });
  }

  async flush(): Promise<void> {
    const steps = this.#steps;
    this.#steps = [];
    for (const step of steps) {
      if (step.kind === "open") {
        const path = join(this.#directory, String(this.archive.files.size));
        this.#current = {
          name: step.name,
          path,
          file: await open(path, "wx", 0o600),
          hash: createHash("sha256"),
          size: 0,
        };
      } else if (this.#current !== null && step.kind === "data") {
        this.#current.hash.update(step.bytes);
        this.#current.size += step.bytes.length;
        await this.#current.file.appendFile(step.bytes);
      } else if (this.#current !== null) {
        const { name, path, hash, size } = this.#current;
        await this.close();
        this.archive.files.set(name, { path, size, digest: `sha256:${hash.digest("hex")}` });
      }
    }
  }

  async close(): Promise<void> {
    const current = this.#current;
    this.#current = null;
    await current?.file.close();
  }
}

/** Without `./`, `/` and `..` at the beginning. Names are only compared, so that nothing can come of them. */
function normalize(name: string): string {
  return posix.normalize(`/${name}`).replace(/^\/+/, "").replace(/\/$/, "");
}
