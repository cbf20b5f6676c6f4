import { rename, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { removeTree } from "../../../host/contained/remove-tree.ts";
import { ioError } from "../../../host/system-error.ts";
import type { TreeEvent, VoidFile } from "../../../host/tree/tree.ts";
import type { TreeResult } from "../../../host/tree/tree-result.ts";
import { TreeWriter, type TreeWriterOptions } from "../../../host/tree/tree-writer.ts";
import { partialName } from "../../../host/tree/partial-names.ts";

/**
 * Where a tree of a guest goes on the host: into the directory that is there, over the file or link that is, or to where nothing is,
 * under a name of its own until it is whole. Nothing is written elsewhere, whatever comes (see {@link TreeWriter}).
 */
export class HostPlace {
  readonly #writer: TreeWriter;
  readonly #target: string;
  readonly #aside: string | null;

  private constructor(writer: TreeWriter, target: string, aside: string | null) {
    this.#writer = writer;
    this.#target = target;
    this.#aside = aside;
  }

  /** @param target an absolute path @throws IoError when the directory is not there */
  static async open(
    target: string,
    standing: "nothing" | "directory" | "other",
    style: Omit<TreeWriterOptions, "name">,
  ): Promise<HostPlace> {
    if (standing === "directory") return new HostPlace(await TreeWriter.open(target, style), target, null);
    const directory = dirname(target);
    const name = standing === "nothing" ? await partialName() : basename(target);
    const writer = await TreeWriter.open(directory, { ...style, name });
    return new HostPlace(writer, target, standing === "nothing" ? join(directory, name) : null);
  }

  async write(events: readonly (TreeEvent | VoidFile)[]): Promise<void> {
    await this.#writer.write(events);
  }

  /** Gives what has come its name. @returns what is there now, and what is not @throws IoError */
  async finish(): Promise<TreeResult> {
    const result = await this.#writer.finish();
    if (this.#aside === null || result.files + result.directories + result.symlinks === 0) return result;
    try {
      await rename(this.#aside, this.#target);
    } catch (error) {
      throw ioError(`write ${this.#target}`, error, "userFile");
    }
    return result;
  }

  /** Leaves nothing that was not there. Never throws: there is an error already. */
  async abort(): Promise<void> {
    await this.#writer.abort().catch(() => undefined);
    if (this.#aside === null) return;
    // Its directories may have modes that keep even their owner out. What is in the way of that says less than why it was given up.
    const aside = Buffer.from(this.#aside);
    await removeTree({ path: aside }).catch(() => unlink(aside).catch(() => undefined));
  }
}
