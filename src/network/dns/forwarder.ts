import type { ServerSources } from "./choice.ts";
import { rcodeName, rcodes, typeName } from "./message/codes.ts";
import { readQuery, type Query, type Question } from "./message/query.ts";
import { largestUdp, localResponse } from "./message/response.ts";
import type { DnsAnswered } from "../events.ts";
import { Pipeline, type Reply } from "./pipeline.ts";
import type { DnsQuestion, DnsResolver, DnsResolverOptions } from "./resolver.ts";

/** Questions of one guest that are worked on at a time; more are dropped, as they would be by a server that is too busy. */
const mostQuestions = 256;

/**
 * Makes the resolver of a sandbox: it reads what the guest asks, asks the host's resolvers or others, and tells the guest what the
 * policy lets it know.
 *
 * @param sources where questions go; for tests
 * @throws InvalidConfigError when a nameserver of the settings is none
 */
export function createDnsResolver(options: DnsResolverOptions, sources?: ServerSources): DnsResolver {
  const pipeline = new Pipeline(options, sources);
  let isClosed = false;
  let questions = 0;

  function told(asked: DnsQuestion, { name, type }: Question, reply: Omit<Reply, "message">): void {
    const event: DnsAnswered = {
      kind: "dns",
      timestampMs: Date.now(),
      name: name.text === "" ? "." : name.text,
      type: typeName(type),
      transport: asked.transport,
      resolver: pipeline.isGateway(asked.resolver) ? null : asked.resolver.toString(),
      outcome: reply.outcome,
      rcode: rcodeName(reply.rcode),
      addresses: reply.addresses,
      rule: reply.rule,
    };
    try {
      options.event(event);
    } catch (error) {
      // The guest has its answer all the same.
      options.warn(`a DNS question could not be told: ${String(error)}`);
    }
  }

  async function answerQuery(query: Query, asked: DnsQuestion, signal: AbortSignal): Promise<Buffer | null> {
    let reply: Reply | null;
    try {
      reply = await pipeline.answer(query, asked, signal);
    } catch (error) {
      if (signal.aborted || isClosed) return null;
      // A fault of ours must not end the sandbox, and the guest's program should not wait.
      options.warn(`a DNS question could not be answered: ${String(error)}`);
      const message = localResponse(query, { rcode: rcodes.SERVFAIL });
      reply = { message, outcome: "failed", rcode: rcodes.SERVFAIL, addresses: [], rule: null };
    }
    if (reply === null) return null;
    told(asked, query, reply);
    return reply.message;
  }

  return {
    async answer(asked, signal) {
      if (isClosed || questions >= mostQuestions) return null;
      if (asked.transport === "udp" && asked.message.length > largestUdp) return null;
      const read = readQuery(asked.message);
      if (read === null) return null;
      if (read.kind === "error") {
        const { head, rcode } = read;
        if (read.asked !== null)
          told(asked, read.asked, { outcome: "failed", rcode, addresses: [], rule: null });
        return localResponse(head, { rcode });
      }
      questions++;
      try {
        return await answerQuery(read.query, asked, signal);
      } finally {
        questions--;
      }
    },
    close() {
      isClosed = true;
      pipeline.close();
    },
  };
}
