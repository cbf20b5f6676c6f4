import { resolve } from "node:path";
import { HostPlace } from "../fs/copy/host-place.ts";
import { problemOf, type CopyEvent, type CopySink } from "./copy-end.ts";
import { ProblemList, type CopyProblems } from "./copy-problem.ts";
import type { Destination } from "./destination.ts";

/** A place of this computer. */
export class HostSink implements CopySink {
  readonly #place: HostPlace;
  readonly #problems = new ProblemList();

  private constructor(place: HostPlace) {
    this.#place = place;
  }

  /**
   * @param isNew nothing stands there yet
   * @param keepOwners as the tree has them, which only root can; else everything is the caller's
   * @throws IoError when the directory is not there
   */
  static async open({ kind, path }: Destination, isNew: boolean, keepOwners: boolean): Promise<HostSink> {
    const standing = kind === "into" ? "directory" : isNew ? "nothing" : "other";
    return new HostSink(await HostPlace.open(resolve(path), standing, { owners: keepOwners }));
  }

  async write(events: readonly CopyEvent[]): Promise<void> {
    for (const event of events) if (event.type === "void") this.#problems.add(problemOf(event.problem));
    await this.#place.write(events);
  }

  async finish(): Promise<CopyProblems> {
    const { refused, refusedCount } = await this.#place.finish();
    this.#problems.addAll({ list: refused, count: refusedCount });
    return this.#problems;
  }

  abort(): Promise<void> {
    return this.#place.abort();
  }
}
