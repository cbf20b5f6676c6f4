import type { PublishedPort } from "../../../config/network/network-type.ts";
import { InvalidConfigError } from "../../../errors/index.ts";
import { describePort } from "./bind-error.ts";
import { listen, type BoundPort, type Listener, type PortReceiver } from "./listeners.ts";

type PortKey = Pick<PublishedPort, "hostBind" | "hostPort" | "protocol">;

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
   * Gets everything ready that can fail.
   *
   * @throws InvalidConfigError when a port to be taken back is not published, or one is published twice
   * @throws IoError when a port cannot be listened on
   */
  async prepare({
    publish = [],
    unpublish = [],
  }: {
    readonly publish?: readonly PublishedPort[];
    readonly unpublish?: readonly PortKey[];
  }): Promise<PreparedPorts> {
    const leaving = new Set(unpublish.map((key) => this.#find(key)));
    const kept: { listener: Listener; port: PublishedPort }[] = [];
    const fresh: Listener[] = [];
    try {
      for (const port of publish) {
        const same = this.#listeners.find((listener) => isSame(listener.port, port));
        if (same === undefined) fresh.push(await listen(port, this.#warn));
        else if (leaving.delete(same)) kept.push({ listener: same, port });
        else
          throw new InvalidConfigError(`port ${describePort(port)} is published already`, {
            hint: "Take it back first, or choose another port of the host.",
          });
      }
    } catch (error) {
      await closeAll(fresh);
      throw error;
    }
    for (const { port } of fresh)
      if (!isLoopback(port.hostBind))
        this.#warn(`port ${describePort(port)} is open to other machines: ingress rules say to which`);
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
      rollback: () => closeAll(fresh),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const listeners = this.#listeners;
    this.#listeners = [];
    await closeAll(listeners);
  }

  #find(key: PortKey): Listener {
    const found = this.#listeners.find((listener) => isSame(listener.port, key));
    if (found !== undefined) return found;
    throw new InvalidConfigError(`port ${describePort(key)} is not published`, {
      hint: "`msb port NAME` lists those that are.",
    });
  }
}

function isLoopback(hostBind: string): boolean {
  return hostBind === "::1" || hostBind.startsWith("127.");
}

function isSame(first: PortKey, second: PortKey): boolean {
  return (
    first.hostBind === second.hostBind &&
    first.hostPort === second.hostPort &&
    first.protocol === second.protocol
  );
}

async function closeAll(listeners: readonly Listener[]): Promise<void> {
  await Promise.all(listeners.map((listener) => listener.close()));
}
