import { InvalidConfigError, MicrosandboxError, RuntimeError } from "../../errors/index.ts";
import { isTerminal } from "../../config/enums.ts";
import type { Operation } from "../../host/operation.ts";
import { isEventName } from "../../protocol/event-records.ts";
import { notRunning } from "../control/found-sandbox.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import type { FsWatcher } from "../fs/fs-watcher.ts";
import type { GuestPath } from "../fs/guest-path.ts";
import { SandboxFs } from "../fs/sandbox-fs.ts";
import { droppedEvent, EventStream } from "./event-stream.ts";
import type { EventData, EventOptions } from "./event-types.ts";

const mostNames = 256;
const mostWatched = 16;

/** Where events come from: null at the end. */
type Source = (signal: AbortSignal) => Promise<EventData | null>;

/** @throws InvalidConfigError */
export function checkNames(names: unknown): string[] {
  const given = typeof names === "string" ? [names] : (names ?? []);
  if (!Array.isArray(given) || given.length > mostNames || !given.every(isName))
    throw new InvalidConfigError("names are none that events can have", {
      hint: `Give at most ${mostNames} names of 1 to 128 bytes without control characters; * at the end stands for everything.`,
    });
  return given;
}

function isName(name: unknown): name is string {
  return typeof name === "string" && name.isWellFormed() && isEventName(name);
}

/** @throws InvalidConfigError */
function checkWatched(watch: EventOptions["watch"]): GuestPath[] {
  const isOne = watch === undefined || typeof watch === "string" || watch instanceof Uint8Array;
  const given: unknown = isOne ? (watch === undefined ? [] : [watch]) : watch;
  if (!Array.isArray(given) || given.length > mostWatched)
    throw new InvalidConfigError("watch is no list of paths in the guest", {
      hint: `Give at most ${mostWatched} paths.`,
    });
  return given.map((path) => path as GuestPath);
}

/**
 * A sandbox's events from now on, until it ends.
 *
 * @returns null first, when all that comes to pass from then on is told
 * @throws InvalidConfigError, SandboxNotRunningError, SandboxFsError for what cannot be watched; RuntimeError when the connection is lost
 */
export async function* readEvents(
  control: SandboxControl,
  options: EventOptions,
  operation: Operation,
): AsyncGenerator<EventData | null, void, undefined> {
  const names = checkNames(options.names);
  const watched = checkWatched(options.watch);
  const { signal } = operation;
  while ((await control.find()).status === "starting") await control.waitForChange(operation);
  using stream = new EventStream(await control.borrow(operation), names);
  await begun(control, stream, signal);
  await using watchers = await watch(control, watched, signal);
  yield null;
  const told: Source = (until) => untilEnd(control, stream, until);
  yield* merged([told, ...watchers.list.map(changesOf)], signal);
}

/** A supervisor that is about to go may still let somebody in. */
async function begun(control: SandboxControl, stream: EventStream, signal: AbortSignal): Promise<void> {
  try {
    await stream.begun(signal);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof RuntimeError)) throw error;
    const status = (await control.find()).status;
    throw isTerminal(status) ? notRunning(control.name, status) : error;
  }
}

/** A supervisor that is gone with its sandbox may have taken some of its last events with it. */
async function untilEnd(
  control: SandboxControl,
  stream: EventStream,
  signal: AbortSignal,
): Promise<EventData | null> {
  try {
    return await stream.next(signal);
  } catch (error) {
    signal.throwIfAborted();
    const status = (await control.find().catch(() => null))?.status ?? "stopped";
    if (!isTerminal(status)) throw error;
    return droppedEvent(null, new Date());
  }
}

interface Watchers extends AsyncDisposable {
  readonly list: readonly FsWatcher[];
}

async function watch(
  control: SandboxControl,
  paths: readonly GuestPath[],
  signal: AbortSignal,
): Promise<Watchers> {
  const list: FsWatcher[] = [];
  const dispose = async (): Promise<void> => {
    for (const watcher of list) await watcher[Symbol.asyncDispose]();
  };
  try {
    const fs = new SandboxFs(control);
    for (const path of paths) list.push(await fs.watch(path, { signal }));
    return { list, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

function changesOf(watcher: FsWatcher): Source {
  return async (signal) => {
    try {
      const change = await watcher.recv({ signal });
      if (change === null) return null;
      const { kind, path, isDirectory, cookie } = change;
      const data = { path, isDirectory, ...(cookie === 0 ? {} : { cookie }) };
      return { event: `files:${kind}`, kind: "files", time: new Date(), data };
    } catch (error) {
      signal.throwIfAborted();
      // The sandbox's own events tell of its end.
      if (error instanceof MicrosandboxError) return null;
      throw error;
    }
  };
}

/** Of all of them whatever comes first, until the first of them is at its end. */
async function* merged(
  sources: readonly Source[],
  signal: AbortSignal,
): AsyncGenerator<EventData, void, undefined> {
  const [main] = sources;
  const asked = new Map<Source, Promise<readonly [Source, EventData | null]>>();
  const ask = (source: Source): void => {
    const answer = source(signal).then((event) => [source, event] as const);
    // Whoever leaves does not wait for it.
    answer.catch(() => undefined);
    asked.set(source, answer);
  };
  for (const source of sources) ask(source);
  for (;;) {
    const [source, event] = await Promise.race(asked.values());
    asked.delete(source);
    if (event !== null) yield event;
    else if (source === main) return;
    if (event !== null) ask(source);
  }
}
