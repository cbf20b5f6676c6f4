import type { PublishedPort } from "../../../config/network/network-type.ts";
import { isAtOnePlace, placeOf, type PortPlace } from "../../../config/network/ports.ts";
import { InvalidConfigError } from "../../../errors/index.ts";
import { listen, type BoundPort, type Listener, type PortReceiver } from "./listeners.ts";

/** A change that is ready: what can fail is done. */
export interface PreparedPorts {
  /** @returns when ports that are not published any more are closed */
  commit(): Promise<void>;
  rollback(): Promise<void>;
}

/**
 * The ports of the host that a sandbox offers. They are listened on before there is a guest: conflicts are told before anything is
 * started, and connections that come early wait for it.
 */
export class PublishedPorts implements AsyncDisposable {
  #listeners: Listener[] = [];
  #receiver: PortReceiver | null = null;
  readonly #warn: (message: string) => void;

  private constructor(warn: (message: string) => void) {
    this.#warn = warn;
  }

  /**
   * Listens on all of them, or on none.
   *
   * @throws IoError for the first that cannot be had
   */
  static async bind(
    ports: readonly PublishedPort[],
    warn: (message: string) => void,
  ): Promise<PublishedPorts> {
    const made = new PublishedPorts(warn);
    const prepared = await made.prepare({ publish: ports });
    await prepared.commit();
    return made;
  }

  get list(): readonly BoundPort[] {
    return this.#listeners.map(({ port }) => port);
  }

  /** Hands on what has come and what will. */
  serve(receiver: PortReceiver): void {
    this.#receiver = receiver;
    for (const listener of this.#listeners) listener.serve(receiver);
  }

  /**
   * Gets everything ready that can fail. A port that is taken back, and is at the place of a new one, is not listened on from here on; what
   * has come by it goes on, and so does the port when the change fails.
   *
   * @throws InvalidConfigError when a port to be taken back is not published, or one is published twice
   * @throws IoError when a port cannot be listened on
   */
  async prepare({
    publish = [],
    unpublish = [],
  }: {
    readonly publish?: readonly PublishedPort[];
    readonly unpublish?: readonly PortPlace[];
  }): Promise<PreparedPorts> {
    const leaving = new Set(unpublish.map((key) => this.#find(key)));
    const kept: { listener: Listener; port: PublishedPort }[] = [];
    const fresh: Listener[] = [];
    const released: Listener[] = [];
    const undo = async (): Promise<void> => {
      await closeAll(fresh);
      for (const listener of released) await this.#retake(listener);
    };
    try {
      for (const port of publish) {
        const same = this.#listeners.find((listener) => isSame(listener.port, port));
        if (same !== undefined && leaving.delete(same)) {
          kept.push({ listener: same, port });
          continue;
        }
        for (const listener of this.#listeners) {
          if (!isAtOnePlace(listener.port, port)) continue;
          if (!leaving.has(listener)) throw publishedAlready(port, listener.port);
          listener.release();
          released.push(listener);
        }
        fresh.push(await listen(port, this.#warn));
      }
    } catch (error) {
      await undo();
      throw error;
    }
    for (const { port } of fresh)
      if (!isLoopback(port.hostBind))
        this.#warn(`port ${placeOf(port)} is open to other machines: ingress rules say to which`);
    return {
      commit: async () => {
        for (const { listener, port } of kept) {
          // It goes on listening, for another port of the guest: what came for the old one ends.
          this.#receiver?.closed(listener);
          listener.port = port;
        }
        this.#listeners = [...this.#listeners.filter((listener) => !leaving.has(listener)), ...fresh];
        if (this.#receiver !== null) for (const listener of fresh) listener.serve(this.#receiver);
        await closeAll([...leaving]);
      },
      rollback: undo,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const listeners = this.#listeners;
    this.#listeners = [];
    await closeAll(listeners);
  }

  /** What it was when nothing has changed. Another program may have been faster. */
  async #retake(listener: Listener): Promise<void> {
    try {
      await listener.retake(this.#warn);
    } catch (error) {
      this.#warn(`${String(error)}; it was published until a change of the network that has failed`);
      this.#listeners = this.#listeners.filter((other) => other !== listener);
      await listener.close();
    }
  }

  #find(key: PortPlace): Listener {
    const found = this.#listeners.find((listener) => isSame(listener.port, key));
    if (found !== undefined) return found;
    throw new InvalidConfigError(`port ${placeOf(key)} is not published`, {
      hint: "`msb port NAME` lists those that are.",
    });
  }
}

function publishedAlready(port: PortPlace, other: PortPlace): InvalidConfigError {
  const [one, two] = [placeOf(port), placeOf(other)];
  const what = one === two ? "is published already" : `is at the place of ${two}, which is published already`;
  return new InvalidConfigError(`port ${one} ${what}`, {
    hint: "Take it back first, or choose another port of the host.",
  });
}

function isLoopback(hostBind: string): boolean {
  return hostBind === "::1" || hostBind.startsWith("127.");
}

function isSame(first: PortPlace, second: PortPlace): boolean {
  return (
    first.hostBind === second.hostBind &&
    first.hostPort === second.hostPort &&
    first.protocol === second.protocol
  );
}

async function closeAll(listeners: readonly Listener[]): Promise<void> {
  await Promise.all(listeners.map((listener) => listener.close()));
}
