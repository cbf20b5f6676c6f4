import { unlink, type FileHandle } from "node:fs/promises";
import type { HeldDirectory } from "../contained/held-directory.ts";
import type { TreeContent, TreeEntry } from "./tree.ts";
import { AttributesError, openAside, setAttributes, type AsideFile, type WriteStyle } from "./write-entry.ts";

/** What is gathered of a file before it is written. A smaller one is written at once when it is whole. */
const gatheredBytes = 64 * 1024;

interface Piece {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** A file on its way in: aside until it is whole. */
export class IncomingFile {
  readonly entry: TreeEntry;
  readonly #directory: HeldDirectory;
  #pieces: Piece[] = [];
  #gathered = 0;
  /** How much of it has come. */
  #position = 0;
  #endsWithHole = false;
  #aside: AsideFile | null = null;

  constructor(directory: HeldDirectory, entry: TreeEntry) {
    this.#directory = directory;
    this.entry = entry;
  }

  /** Takes the next part of the content. @throws the system's error */
  async add(event: TreeContent): Promise<void> {
    this.#endsWithHole = event.type === "hole";
    if (event.type === "hole") {
      this.#position += event.length;
      return;
    }
    this.#pieces.push({ at: this.#position, bytes: event.bytes });
    this.#position += event.bytes.length;
    this.#gathered += event.bytes.length;
    if (this.#gathered > gatheredBytes) await this.#write();
  }

  /**
   * Writes what is left of it, and gives it its attributes.
   *
   * @returns where it lies, and what of its attributes could not be kept
   * @throws the system's error
   */
  async complete(
    style: WriteStyle,
  ): Promise<{ readonly path: Buffer; readonly lacking: AttributesError | null }> {
    const { handle, path } = await this.#write();
    if (this.#endsWithHole) await handle.truncate(this.#position);
    let lacking: AttributesError | null = null;
    try {
      await setAttributes(handle, this.entry, style);
    } catch (error) {
      if (!(error instanceof AttributesError)) throw error;
      lacking = error;
    }
    // A network file system may say only now that the disk is full.
    await handle.close();
    return { path, lacking };
  }

  /** Removes what there is of it. */
  async discard(): Promise<void> {
    this.#pieces = [];
    if (this.#aside === null) return;
    await this.#aside.handle.close().catch(() => undefined);
    await unlink(this.#aside.path).catch(() => undefined);
  }

  async #write(): Promise<AsideFile> {
    const aside = (this.#aside ??= await openAside(this.#directory));
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#gathered = 0;
    for (const { at, bytes } of pieces) await writeAll(aside.handle, bytes, at);
    return aside;
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
