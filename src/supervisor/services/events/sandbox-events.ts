import { RuntimeError } from "../../../errors/index.ts";
import { orTimeout } from "../../../host/or-timeout.ts";
import { encodeEvent, isWanted, wantsBeginning, wantsGuest } from "../../../protocol/event-records.ts";
import type { EndedMessage } from "../../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../../protocol/stream.ts";
import type { NetworkLog, NetworkWatch } from "../../logs/network-log.ts";
import { EventQueue } from "./event-queue.ts";
import { InsideEvents } from "./inside-events.ts";

/** A guest that runs. */
export interface EventSource {
  /** Has it tell what its programs tell. */
  listenInside(handler: StreamHandler): Stream;
  /** Its network's; null: it has none. */
  readonly networkLog: Pick<NetworkLog, "watchLines"> | null;
}

/** The sandbox's events, and who listens to them. What costs something is done only while somebody listens to it. */
export class SandboxEvents {
  readonly #queues = new Set<EventQueue>();
  #source: EventSource | null = null;
  #inside: Stream | null = null;
  #network: NetworkWatch | null = null;
  #isOver = false;
  #ending: Promise<unknown> = Promise.resolve();

  /** Somebody listens from now on. */
  watch(names: readonly string[], stream: Stream): StreamHandler {
    const queue = new EventQueue(stream, names, () => {
      this.#queues.delete(queue);
      this.#adjust();
    });
    this.#queues.add(queue);
    this.#adjust();
    stream.send({ type: "EventsBegin" });
    return queue;
  }

  /** A guest runs. */
  begin(source: EventSource): void {
    this.#leave();
    this.#source = source;
    this.#adjust();
  }

  /** Its machine is going to end, or has. */
  leave(): void {
    this.#leave();
    this.#source = null;
  }

  /** Something has happened to the sandbox. @param data what there is to say of it */
  lifecycle(what: string, data: Readonly<Record<string, unknown>> | null = null): void {
    if (this.#queues.size === 0) return;
    const name = `lifecycle:${what}`;
    const json = data === null ? "" : JSON.stringify(data);
    this.#tell(name, encodeEvent("lifecycle", Date.now(), name, json));
  }

  /** The sandbox has ended: whoever listens is told, after all that came before. */
  end(ended: EndedMessage): void {
    this.leave();
    this.#isOver = true;
    this.#ending = Promise.all([...this.#queues].map((queue) => queue.end(ended)));
  }

  /** Resolves when all have taken what there was, or after so many ms. */
  async taken(withinMs: number): Promise<void> {
    await orTimeout(this.#ending, withinMs);
  }

  #tell(name: string, record: Buffer): void {
    for (const queue of this.#queues) {
      const { names } = queue;
      if (names.length === 0 || names.some((wanted) => isWanted(wanted, name))) queue.add(record);
    }
  }

  /** Asks for what is wanted, and no more. */
  #adjust(): void {
    const source = this.#isOver ? null : this.#source;
    const queues = [...this.#queues];
    if (source !== null && queues.some(({ names }) => wantsGuest(names)))
      this.#inside ??= this.#listen(source);
    else this.#stopInside();
    if (queues.some(({ names }) => wantsBeginning(names, "network:"))) this.#watchNetwork(source);
    else this.#stopNetwork();
  }

  #listen(source: EventSource): Stream {
    const events = new InsideEvents((name, record) => {
      this.#tell(name, record);
    });
    const stream = source.listenInside(events);
    events.begin(stream);
    return stream;
  }

  #watchNetwork(source: EventSource | null): void {
    this.#network ??=
      source?.networkLog?.watchLines(() => {
        // All that comes in one go is taken together.
        setImmediate(() => {
          this.#takeLines();
        });
      }) ?? null;
  }

  #takeLines(): void {
    const taken = this.#network?.take() ?? null;
    if (taken === null) return;
    const { lost, lines } = taken;
    if (lost > 0) this.#dropNetwork(lost);
    for (const line of lines) {
      const { t, n: _, kind, ...rest } = JSON.parse(line) as Record<string, unknown>;
      if (kind === "lost") this.#dropNetwork(Number(rest["count"]));
      else {
        const name = `network:${String(kind)}`;
        this.#tell(name, encodeEvent("network", Date.parse(String(t)), name, JSON.stringify(rest)));
      }
    }
  }

  #dropNetwork(count: number): void {
    for (const queue of this.#queues) {
      if (wantsBeginning(queue.names, "network:")) queue.drop(count);
    }
  }

  #leave(): void {
    this.#takeLines();
    this.#stopNetwork();
    this.#stopInside();
  }

  #stopInside(): void {
    this.#inside?.abort(new RuntimeError("nobody listens any more"));
    this.#inside = null;
  }

  #stopNetwork(): void {
    this.#network?.close();
    this.#network = null;
  }
}
