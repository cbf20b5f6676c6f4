import { lstat } from "node:fs/promises";
import { InvalidConfigError } from "../../errors/index.ts";
import { orTimeout } from "../../host/or-timeout.ts";
import { errorCode } from "../../host/system-error.ts";
import { ArchiveSink, ArchiveSource } from "./archive-ends.ts";
import type { LinkEvent } from "../fs/copy/tree-sender.ts";
import type { CopyEvent, CopySink, CopySource } from "./copy-end.ts";
import { ProblemList, type CopyProblem } from "./copy-problem.ts";
import { destinationOf, type Destination } from "./destination.ts";
import { GuestSink } from "./guest-sink.ts";
import { GuestSource } from "./guest-source.ts";
import { HostSink } from "./host-sink.ts";
import { HostSource } from "./host-source.ts";
import {
  meansContents,
  nameOfSide,
  placeOf,
  realPathOf,
  shownSide,
  type ArchiveInput,
  type ArchiveOutput,
  type HostSide,
  type SandboxSide,
} from "./sides.ts";

export interface CopyFilesOptions {
  /** Copy what links lead to: the path itself, and all below it. */
  readonly followLinks: boolean;
  /** Keep owners. Without it everything belongs to root in a sandbox, and to the caller on the host. */
  readonly keepOwners: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: CopyProgress) => void;
}

export interface CopyProgress {
  /** Files, directories and links so far. */
  readonly entries: number;
  /** Of files so far, holes included. */
  readonly bytes: number;
  /** Of what is copied when it is one file; else null. */
  readonly totalBytes: number | null;
}

export interface CopyOutcome extends CopyProgress {
  /** What was not copied, or not as it was; of very many, the first ones. */
  readonly problems: readonly CopyProblem[];
  readonly problemCount: number;
}

/** A source that takes longer for its next piece may take for ever: a pipe that somebody writes to by hand. */
const slowMs = 50;

/**
 * Copies a file, or a directory with all that is in it, from one side to the other, by the rules of `destinationOf`. Modes, times,
 * links and holes are kept.
 *
 * @throws InvalidConfigError when it cannot go there; SandboxFsError, IoError, SandboxNotRunningError; the signal's reason. A file
 * that was under way is not there then.
 */
export async function copyFiles(
  source: HostSide | SandboxSide | ArchiveInput,
  destination: HostSide | SandboxSide | ArchiveOutput,
  options: CopyFilesOptions,
): Promise<CopyOutcome> {
  const { signal, followLinks } = options;
  if (options.keepOwners && destination.kind === "host" && process.geteuid?.() !== 0) {
    throw new InvalidConfigError("only root can keep the owners of files on this computer", {
      hint: "Copy without -a, or as a tar archive: msb cp -a NAME:/dir - > dir.tar",
    });
  }
  const from = sourceOf(source, followLinks);
  // What is being read ahead is given up when the other side fails: nobody may ever write to a pipe.
  const over = new AbortController();
  const batches = from.read(AbortSignal.any([signal, over.signal]));
  try {
    let first = await batches.next();
    // Of a directory that comes with problems alone there may be empty ones.
    while (first.done !== true && first.value.length === 0) first = await batches.next();
    const [root] = first.done === true ? [] : first.value;
    if (root?.type !== "entry")
      throw new InvalidConfigError(`there is nothing to copy in ${shownSide(source)}`);
    const isDirectory = root.entry.kind === "directory";
    const sink = await sinkFor(source, destination, isDirectory, options);
    const tally = new Tally(isDirectory ? null : root.entry.size, options.onProgress);
    try {
      for (let batch = first; batch.done !== true;) {
        // The next one is read while this one is written.
        const next = batches.next();
        next.catch(() => undefined);
        await sink.write(batch.value);
        tally.add(batch.value);
        batch = await followed(next, sink);
      }
      const problems = new ProblemList();
      problems.addAll(await sink.finish());
      problems.addAll(from.problems);
      return { ...tally.progress, problems: problems.list, problemCount: problems.count };
    } catch (error) {
      await sink.abort(error as Error);
      throw error;
    }
  } finally {
    over.abort();
    await batches.return().catch(() => undefined);
  }
}

/** Waits for what comes next, or for the sink's failure. Where it is long in coming, the sink gets on with what it has. */
async function followed<Batch extends object>(
  next: Promise<Batch>,
  sink: CopySink<CopyEvent | LinkEvent>,
): Promise<Batch> {
  const coming = sink.failed === undefined ? next : Promise.race([next, sink.failed]);
  if (sink.flush === undefined) return await coming;
  const soon = await orTimeout(coming, slowMs);
  if (soon !== null) return soon;
  await sink.flush();
  return await coming;
}

function sourceOf(source: HostSide | SandboxSide | ArchiveInput, followLinks: boolean): CopySource {
  switch (source.kind) {
    case "archive":
      return new ArchiveSource(source.stream);
    case "host":
      return new HostSource(source.path, followLinks);
    case "sandbox":
      return new GuestSource(source.fs.files, source.path, followLinks);
  }
}

async function sinkFor(
  source: HostSide | SandboxSide | ArchiveInput,
  side: HostSide | SandboxSide | ArchiveOutput,
  isDirectory: boolean,
  { keepOwners, signal }: CopyFilesOptions,
): Promise<CopySink<CopyEvent | LinkEvent>> {
  const isArchive = source.kind === "archive";
  const contentsOnly = isArchive || meansContents(source);
  const name = isArchive ? "" : nameOfSide(source);
  if (side.kind === "archive") return treeSink(new ArchiveSink(side.write, contentsOnly ? "." : name));
  const place = await placeOf(side, signal);
  if (isArchive && place.standing !== "directory") {
    throw new InvalidConfigError(`there is no directory ${place.shown} to unpack the archive in`, {
      hint: "Make it first.",
    });
  }
  const shown = shownSide(source);
  const destination = destinationOf({ isDirectory, contentsOnly, shown, name }, place);
  if (!isArchive && isDirectory) await refuseItself(source, side, destination, signal);
  if (side.kind === "sandbox")
    return await GuestSink.open(side.fs.files, destination.path, keepOwners, signal);
  const isNew = await isMissing(destination.path);
  return treeSink(await HostSink.open(destination, isNew, keepOwners));
}

async function isMissing(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => false,
    (error: unknown) => errorCode(error) === "ENOENT",
  );
}

/** Only an archive has further names of files, and it goes into sandboxes only. */
function treeSink(sink: CopySink): CopySink<CopyEvent | LinkEvent> {
  return {
    write: (events) => sink.write(events.filter((event) => event.type !== "link")),
    finish: () => sink.finish(),
    abort: (reason) => sink.abort(reason),
  };
}

/** A directory that is copied into itself would have no end. */
async function refuseItself(
  source: HostSide | SandboxSide,
  side: HostSide | SandboxSide,
  destination: Destination,
  signal: AbortSignal,
): Promise<void> {
  if (source.kind !== "sandbox" || side.kind !== "sandbox" || source.sandbox !== side.sandbox) return;
  const from = await realPathOf(source, source.path, signal);
  const to = await realPathOf(side, destination.path, signal);
  if (to !== from && !to.startsWith(from === "/" ? from : `${from}/`)) return;
  throw new InvalidConfigError(`cannot copy ${shownSide(source)} to itself or into itself`, {
    hint: "Name another destination.",
  });
}

/** Counts what goes through. */
class Tally {
  readonly #totalBytes: number | null;
  readonly #onProgress: (progress: CopyProgress) => void;
  #entries = 0;
  #bytes = 0;

  constructor(totalBytes: number | null, onProgress: (progress: CopyProgress) => void) {
    this.#totalBytes = totalBytes;
    this.#onProgress = onProgress;
  }

  get progress(): CopyProgress {
    return { entries: this.#entries, bytes: this.#bytes, totalBytes: this.#totalBytes };
  }

  add(events: readonly (CopyEvent | LinkEvent)[]): void {
    for (const event of events) {
      if (event.type === "data") this.#bytes += event.bytes.length;
      else if (event.type === "hole") this.#bytes += event.length;
      else if (event.type !== "void") this.#entries++;
    }
    this.#onProgress(this.progress);
  }
}
