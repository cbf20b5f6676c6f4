import { unlink } from "node:fs/promises";
import type { HeldDirectory } from "../contained/held-directory.ts";
import { OrderedWrites } from "./ordered-writes.ts";
import type { TreeContent, TreeEntry } from "./tree.ts";
import { AttributesError, openAside, setAttributes, type AsideFile, type WriteStyle } from "./write-entry.ts";

/** Bytes; a file of no more is gathered, and written at once when it is whole. */
const smallBytes = 64 * 1024;

/** A file on its way in: aside until it is whole. */
export class IncomingFile {
  readonly entry: TreeEntry;
  readonly #directory: HeldDirectory;
  readonly #writes: OrderedWrites;
  #endsWithHole = false;
  #opening: Promise<AsideFile> | null = null;

  constructor(directory: HeldDirectory, entry: TreeEntry) {
    this.#directory = directory;
    this.entry = entry;
    this.#writes = new OrderedWrites(async () => (await this.#open()).handle, entry.size <= smallBytes);
  }

  /**
   * Takes the next part of the content, which is the caller's again when this resolves. What is to be written may still be under way then.
   *
   * @throws the system's error, of this part or of one before it
   */
  async add(event: TreeContent): Promise<void> {
    this.#endsWithHole = event.type === "hole";
    if (event.type === "hole") await this.#writes.skip(event.length);
    else await this.#writes.add(event.bytes);
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
    const { handle, path } = await this.#open();
    await this.#writes.end();
    if (this.#endsWithHole) await handle.truncate(this.#writes.position);
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
    await this.#writes.drop();
    const aside = await this.#opening?.catch(() => null);
    if (aside === undefined || aside === null) return;
    await aside.handle.close().catch(() => undefined);
    await unlink(aside.path).catch(() => undefined);
  }

  #open(): Promise<AsideFile> {
    return (this.#opening ??= openAside(this.#directory));
  }
}
