import type { Answer } from "../message/answer.ts";
import { askByTcp } from "./by-tcp.ts";
import { askByUdp } from "./by-udp.ts";
import { NoAnswer, serverKey, type Attempt, type Server } from "./server.ts";

/** So long a server that did not answer is asked after the others, ms. */
const setBackMs = 30_000;
/** Servers that are remembered as set back. */
const mostSetBack = 64;

/** Asks servers in their order until one answers. Any answer is final, a refusal too. */
export class Failover {
  readonly #setBackUntil = new Map<string, number>();

  /**
   * @param servers in order; those that did not answer a short while ago come last, so that a dead first one costs only the first question
   *   its time
   * @throws NoAnswer when none of them did
   */
  async ask(
    servers: readonly Server[],
    transport: "udp" | "tcp",
    attempt: Omit<Attempt, "server">,
  ): Promise<Answer> {
    const askOne = transport === "udp" ? askByUdp : askByTcp;
    const failures: string[] = [];
    for (const server of this.#ordered(servers)) {
      const key = serverKey(server);
      try {
        const answer = await askOne({ ...attempt, server });
        this.#setBackUntil.delete(key);
        return answer;
      } catch (error) {
        if (!(error instanceof NoAnswer) || attempt.signal.aborted) throw error;
        failures.push(`${key}: ${error.message}`);
        if (servers.length > 1) this.#setBack(key);
      }
    }
    throw new NoAnswer(failures.length === 0 ? "there is no server to ask" : failures.join("; "));
  }

  #ordered(servers: readonly Server[]): Server[] {
    const now = performance.now();
    const isBack = (server: Server): boolean => (this.#setBackUntil.get(serverKey(server)) ?? 0) > now;
    return [...servers.filter((server) => !isBack(server)), ...servers.filter(isBack)];
  }

  #setBack(key: string): void {
    if (this.#setBackUntil.size >= mostSetBack) this.#setBackUntil.clear();
    this.#setBackUntil.set(key, performance.now() + setBackMs);
  }
}
