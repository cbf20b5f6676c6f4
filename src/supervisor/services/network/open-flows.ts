import type { NetworkEvent } from "../../../network/events.ts";
import type { ActiveFlow } from "../../../protocol/generated/messages.ts";

/** So many are told of at a time, the newest. */
const mostTold = 1000;
/** More than a gateway ever has; should the end of flows not be told, memory still has a bound. */
const mostKept = 16_384;

/** The flows that were let through and have not ended. */
export class OpenFlows {
  /** In the order in which they were opened. */
  readonly #flows = new Map<number, ActiveFlow>();

  note(event: NetworkEvent): void {
    if (event.kind === "flow-closed") this.#flows.delete(event.flow);
    if (event.kind !== "flow-opened") return;
    const { flow, timestampMs: openedMs, direction, protocol, address, port, name, rule } = event;
    this.#flows.set(flow, { flow, openedMs, direction, protocol, address, port, name, rule });
    if (this.#flows.size <= mostKept) return;
    for (const oldest of this.#flows.keys()) {
      this.#flows.delete(oldest);
      break;
    }
  }

  /** The newest, oldest first. */
  list(): ActiveFlow[] {
    return [...this.#flows.values()].slice(-mostTold);
  }
}
