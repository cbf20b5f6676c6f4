import type { Duplex } from "node:stream";
import type { Channel } from "../http/channel.ts";
import type { Inspector } from "../http/inspector.ts";
import { authorityOf } from "../request-rules/authority.ts";
import { bindingsOf, type Ending, type ReadableConnection } from "./connection.ts";
import { createInspector } from "./create-inspector.ts";
import { relay } from "./relay.ts";

export interface PlainOptions {
  /**
   * Whether a request may be for this host, where the connection was allowed because of its name and every request has to prove that name.
   * null: the connection was allowed whatever is said on it.
   */
  readonly isHostAllowed?: ((host: string) => boolean) | null;
}

/**
 * Reads a connection without TLS.
 *
 * @param server connected, with half-open ends allowed
 * @returns settles when nothing is left of it
 * @throws what an inspector failed by
 */
export async function readPlain(
  connection: ReadableConnection,
  server: Duplex,
  { isHostAllowed = null }: PlainOptions = {},
): Promise<Ending> {
  const { guest, interception, address, port, event } = connection;
  const isBoundTo = bindingsOf(connection);
  const channel: Channel = { kind: "plain", serverName: null, isProved: false, address, port, isBoundTo };
  const inspector = createInspector(interception, channel, event);
  const strict = isHostAllowed === null ? inspector : proved(inspector, isHostAllowed);
  return await relay(connection, { guest, server, scheme: "http", inspector: strict, protocol: null });
}

/** An inspector that lets nothing pass but requests for hosts that are allowed. */
function proved(inspector: Inspector, isHostAllowed: (host: string) => boolean): Inspector {
  return {
    request: (head, asking) => {
      const authority = authorityOf(head);
      const host = "malformed" in authority ? null : authority.host;
      if (host === null || !isHostAllowed(host))
        throw inspector.malformed("a request for a host that is not the one that was allowed");
      return inspector.request(head, asking);
    },
    trailers: (fields, request) => inspector.trailers(fields, request),
    response: (head, request, asking) => inspector.response(head, request, asking),
    responseFields: (fields, request) => inspector.responseFields(fields, request),
    raw: (upgrade) => {
      if (upgrade === null) throw inspector.malformed("what is no request proves no name");
      return inspector.raw(upgrade);
    },
    malformed: (reason) => inspector.malformed(reason),
  };
}
