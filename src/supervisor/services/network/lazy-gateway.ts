import type { Duplex } from "node:stream";
import type {
  BoundPort,
  Gateway,
  GatewayOptions,
  NetworkChange,
  NetworkCounters,
  OpenFlow,
} from "../../../network/gateway.ts";
import type { Interception } from "../../../network/interception/interception.ts";

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

export interface LazyGatewayOptions extends Omit<GatewayOptions, "interception"> {
  /** Makes what connections are read with. null: none is read. */
  readonly interception: (() => Promise<Interception>) | null;
}

/**
 * A gateway whose program is loaded when something is to pass through it: most commands are over before their guest has sent anything,
 * and none should wait for what it does not use. Frames wait in the cable meanwhile, connections in their listeners.
 */
export class LazyGateway implements Gateway {
  readonly #options: LazyGatewayOptions;
  #loading: Promise<Gateway> | null = null;
  #gateway: Gateway | null = null;
  #isClosed = false;

  constructor(options: LazyGatewayOptions) {
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

  get isInUse(): boolean {
    return this.#gateway?.isInUse ?? false;
  }

  flows(most: number): readonly OpenFlow[] {
    return this.#gateway?.flows(most) ?? [];
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
    const { interception: make, ...options } = this.#options;
    const [{ openGateway }, interception] = await Promise.all([
      import("../../../network/gateway.ts"),
      make === null ? null : make(),
    ]);
    if (this.#isClosed) throw new Error("the sandbox has ended");
    this.#gateway = await openGateway({ ...options, interception });
    return this.#gateway;
  }
}
