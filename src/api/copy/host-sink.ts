import { basename, dirname } from "node:path";
import type { TreeEvent } from "../../host/tree/tree.ts";
import { TreeWriter } from "../../host/tree/tree-writer.ts";
import type { CopyProblems, CopySink } from "./copy-end.ts";
import type { Destination } from "./destination.ts";

/** A place of this computer. Nothing is written outside of it, whatever comes (see `TreeWriter`). */
export class HostSink implements CopySink {
  readonly #writer: TreeWriter;

  private constructor(writer: TreeWriter) {
    this.#writer = writer;
  }

  /**
   * @param keepOwners as the tree has them, which only root can; else everything is the caller's
   * @throws IoError when the directory is not there
   */
  static async open({ kind, path }: Destination, keepOwners: boolean): Promise<HostSink> {
    const owners = keepOwners;
    return new HostSink(
      kind === "into"
        ? await TreeWriter.open(path, { owners })
        : await TreeWriter.open(dirname(path), { name: basename(path), owners }),
    );
  }

  async write(events: readonly TreeEvent[]): Promise<void> {
    await this.#writer.write(events);
  }

  async finish(): Promise<CopyProblems> {
    const { refused, refusedCount } = await this.#writer.finish();
    return { problems: refused, count: refusedCount };
  }

  async abort(): Promise<void> {
    await this.#writer.abort();
  }
}
