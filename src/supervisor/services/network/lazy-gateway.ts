import type { Duplex } from "node:stream";
import type {
  BoundPort,
  Gateway,
  GatewayOptions,
  NetworkChange,
  NetworkCounters,
} from "../../../network/gateway.ts";

const nothingYet: NetworkCounters = {
  rxBytes: 0,
  txBytes: 0,
  rxFrames: 0,
  txFrames: 0,
  flowsOpened: 0,
  flowsDenied: 0,
  dnsQueries: 0,
  dnsDenied: 0,
  activeFlows: 0,
};

/**
 * A gateway whose program is loaded when something is to pass through it: most commands are over before their guest has sent anything,
 * and none should wait for what it does not use. Frames wait in the cable meanwhile, connections in their listeners.
 */
export class LazyGateway implements Gateway {
  readonly #options: GatewayOptions;
  #loading: Promise<Gateway> | null = null;
  #gateway: Gateway | null = null;
  #isClosed = false;

  constructor(options: GatewayOptions) {
    this.#options = options;
    const begin = (): void => {
      this.#begin();
    };
    options.link.once("readable", begin);
    if (options.ports.list.length > 0) setImmediate(begin);
  }

  get counters(): NetworkCounters {
    return this.#gateway?.counters ?? nothingYet;
  }

  get ports(): readonly BoundPort[] {
    return this.#options.ports.list;
  }

  async connect(guestPort: number, signal: AbortSignal): Promise<Duplex> {
    const gateway = await this.#load();
    signal.throwIfAborted();
    return await gateway.connect(guestPort, signal);
  }

  async update(change: NetworkChange, inForce?: () => void): Promise<void> {
    await (await this.#load()).update(change, inForce);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    const gateway = await this.#loading?.catch(() => null);
    if (gateway !== null && gateway !== undefined) await gateway[Symbol.asyncDispose]();
    else {
      await this.#options.ports[Symbol.asyncDispose]();
      this.#options.link.destroy();
    }
  }

  #begin(): void {
    if (this.#isClosed) return;
    this.#load().catch((error: unknown) => {
      if (!this.#isClosed) this.#options.warn(`the network does not work: ${String(error)}`);
    });
  }

  #load(): Promise<Gateway> {
    this.#loading ??= this.#open();
    return this.#loading;
  }

  async #open(): Promise<Gateway> {
    const { openGateway } = await import("../../../network/gateway.ts");
    if (this.#isClosed) throw new Error("the sandbox has ended");
    this.#gateway = await openGateway(this.#options);
    return this.#gateway;
  }
}
