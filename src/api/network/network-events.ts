import { types } from "node:util";
import { InvalidConfigError, MicrosandboxError, UnsupportedOperationError } from "../../errors/index.ts";
import type { Operation } from "../../host/operation.ts";
import type { NetworkLogEvent, PolicyInForce } from "../../network/events.ts";
import type { NetworkEventsMessage } from "../../protocol/generated/messages.ts";
import { parseNetworkLine, type NetworkLine } from "../../store/network-log-format.ts";
import { isTerminal } from "../../config/enums.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import { NetworkLines } from "./network-lines.ts";
import { readNetworkLog } from "./network-log-reader.ts";

/** Which events. */
export interface NetworkEventOptions {
  /** Not before this moment. What the policy was at that time is told first. */
  readonly since?: Date;
  /** Go on with what comes to pass from now on, until the sandbox ends; by default it ends with what is logged. */
  readonly follow?: boolean;
}

export const networkEventOptions = { since: "any", follow: "boolean" } as const;

/** Whose events they are. */
export type EventsOwner = Pick<SandboxControl, "find" | "borrow" | "waitForChange" | "name" | "record">;

/** @throws UnsupportedOperationError */
export function requireNetwork({ name, record }: Pick<SandboxControl, "name" | "record">): void {
  if (!record.config.disableNetwork) return;
  throw new UnsupportedOperationError(`sandbox ${name} has no network`, {
    hint: "Create it without disableNetwork().",
  });
}

/**
 * The events of a sandbox's network, in order: those of the log, and then those that its supervisor tells of. Lines have numbers, so
 * what the supervisor could not keep for whoever was slow is looked for in the log, and only what is not there is lost.
 *
 * @throws UnsupportedOperationError for a sandbox without a network; InvalidConfigError; IoError
 */
export async function* networkEvents(
  control: EventsOwner,
  { since, follow = false }: NetworkEventOptions,
  operation: Operation,
): AsyncGenerator<NetworkLogEvent, void, undefined> {
  if (since !== undefined && !(types.isDate(since) && Number.isFinite(since.getTime())))
    throw new InvalidConfigError("since is no valid date", { hint: "Give a Date." });
  requireNetwork(control);
  const told = new Teller(since ?? null);
  for (;;) {
    operation.throwIfOver();
    const { status, paths } = await control.find();
    const log = async function* (before: number): AsyncGenerator<NetworkLogEvent, void, undefined> {
      for await (const line of readNetworkLog(paths.networkLog, told.since)) {
        operation.throwIfOver();
        if (line.n < before) yield* told.tell(line);
      }
    };
    if (!follow || isTerminal(status)) {
      yield* log(Number.POSITIVE_INFINITY);
      return;
    }
    if (status === "starting") {
      await control.waitForChange(operation);
      continue;
    }
    using lines = await subscribe(control, operation);
    for (let batch = await next(lines, operation); batch !== null; batch = await next(lines, operation)) {
      const parsed = batch.lines.map(parseNetworkLine).filter((line) => line !== null);
      // The first answer may have no lines: all that came before it is logged.
      const begin = parsed[0]?.n ?? batch.from;
      if (begin > told.last + 1) {
        yield* log(begin);
        yield* told.skip(begin - 1);
      }
      for (const line of parsed) yield* told.tell(line);
    }
    // Its end, or that of the connection: what is logged tells the rest.
    const ended = isTerminal((await control.find().catch(() => null))?.status ?? "stopped");
    yield* log(Number.POSITIVE_INFINITY);
    if (ended) return;
    await control.waitForChange(operation);
  }
}

/** What came since; null at the end. */
async function next(lines: NetworkLines | null, { signal }: Operation): Promise<NetworkEventsMessage | null> {
  try {
    return lines === null ? null : await lines.next(signal);
  } catch (error) {
    if (error instanceof MicrosandboxError && error.code === "sandboxNotRunning") return null;
    throw error;
  }
}

/** @returns null when it has ended meanwhile */
async function subscribe(control: EventsOwner, operation: Operation): Promise<NetworkLines | null> {
  try {
    return new NetworkLines(await control.borrow(operation));
  } catch (error) {
    if (error instanceof MicrosandboxError && error.code === "sandboxNotRunning") return null;
    throw error;
  }
}

/** Makes events of lines: each once, in order, with what is missing between them. */
class Teller {
  readonly since: Date | null;
  /** Number of the last line that was told, or passed over. */
  last = 0;
  #policy: PolicyInForce | null = null;
  #hasBegun = false;

  constructor(since: Date | null) {
    this.since = since;
  }

  *tell({ n, event }: NetworkLine): Generator<NetworkLogEvent, void, undefined> {
    // The head of a file says again what is known, unless the file before it is gone.
    if (event.kind === "policy" && event.cause === "rotation") {
      if (this.#policy === null) this.#policy = event;
      return;
    }
    if (n <= this.last) return;
    const missing = this.#missing(n - 1);
    this.last = n;
    if (event.kind === "policy") this.#policy = event;
    if (this.since !== null && event.timestampMs < this.since.getTime()) return;
    if (!this.#hasBegun && this.#policy !== null && this.#policy !== event) yield this.#policy;
    this.#hasBegun = true;
    if (missing > 0) yield { kind: "lost", timestampMs: event.timestampMs, count: missing };
    yield event;
  }

  /** Nothing more comes of the lines up to this one: those that were not told are lost. */
  *skip(n: number): Generator<NetworkLogEvent, void, undefined> {
    const missing = this.#missing(n);
    this.last = Math.max(n, this.last);
    if (missing > 0) yield { kind: "lost", timestampMs: Date.now(), count: missing };
  }

  /** Lines between the last one and the one after this. What came before the first one was not asked for, or is long gone. */
  #missing(n: number): number {
    return this.#hasBegun ? Math.max(0, n - this.last) : 0;
  }
}
