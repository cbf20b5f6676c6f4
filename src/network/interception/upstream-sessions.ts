import type { SecureContext } from "node:tls";

const mostKept = 256;

/**
 * Sessions of TLS with servers, so that the next connection to the same one costs it no signature. The server proves nothing again when one
 * is used, so that each is for those only who would have asked the same of it: the same name and the same authorities, and never for who asks for no proof.
 */
export class UpstreamSessions {
  readonly #byContext = new WeakMap<SecureContext, Map<string, Buffer>>();

  /** @returns it is not kept any more: those of TLS 1.3 are for one connection (RFC 8446, C.4) */
  take(context: SecureContext, key: string): Buffer | undefined {
    const sessions = this.#byContext.get(context);
    const session = sessions?.get(key);
    sessions?.delete(key);
    return session;
  }

  keep(context: SecureContext, key: string, session: Buffer): void {
    let sessions = this.#byContext.get(context);
    if (sessions === undefined) this.#byContext.set(context, (sessions = new Map<string, Buffer>()));
    sessions.delete(key);
    sessions.set(key, session);
    const [oldest] = sessions.keys();
    if (sessions.size > mostKept && oldest !== undefined) sessions.delete(oldest);
  }
}
