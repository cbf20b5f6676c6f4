import { randomBytes } from "node:crypto";
import { rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ioError } from "../../host/system-error.ts";
import type { TreeEvent } from "../../host/tree/tree.ts";
import { TreeWriter } from "../../host/tree/tree-writer.ts";
import { partialPrefix } from "../../host/tree/write-entry.ts";
import type { CopyProblems, CopySink } from "./copy-end.ts";
import type { Destination } from "./destination.ts";

/** A place of this computer. Nothing is written outside of it, whatever comes (see `TreeWriter`). */
export class HostSink implements CopySink {
  readonly #writer: TreeWriter;
  /** What is new has another name until it is whole, a directory too: that one, and its own. */
  readonly #names: { readonly aside: string; readonly path: string } | null;

  private constructor(writer: TreeWriter, names: { readonly aside: string; readonly path: string } | null) {
    this.#writer = writer;
    this.#names = names;
  }

  /**
   * @param isNew nothing stands there yet
   * @param keepOwners as the tree has them, which only root can; else everything is the caller's
   * @throws IoError when the directory is not there
   */
  static async open({ kind, path }: Destination, isNew: boolean, keepOwners: boolean): Promise<HostSink> {
    const owners = keepOwners;
    if (kind === "into") return new HostSink(await TreeWriter.open(path, { owners }), null);
    const name = isNew ? `${partialPrefix}${randomBytes(8).toString("hex")}` : basename(path);
    const writer = await TreeWriter.open(dirname(path), { name, owners });
    return new HostSink(writer, isNew ? { aside: join(dirname(path), name), path } : null);
  }

  async write(events: readonly TreeEvent[]): Promise<void> {
    await this.#writer.write(events);
  }

  async finish(): Promise<CopyProblems> {
    const { refused, refusedCount, files, directories, symlinks } = await this.#writer.finish();
    if (this.#names !== null && files + directories + symlinks > 0) await putInPlace(this.#names);
    return { problems: refused, count: refusedCount };
  }

  async abort(): Promise<void> {
    await this.#writer.abort();
    if (this.#names !== null) await rm(this.#names.aside, { recursive: true, force: true });
  }
}

async function putInPlace({ aside, path }: { readonly aside: string; readonly path: string }): Promise<void> {
  try {
    await rename(aside, path);
  } catch (error) {
    throw ioError(`write ${path}`, error, "userFile");
  }
}
