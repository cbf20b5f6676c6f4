/** What a client says first (RFC 8446, 4.1.2), as far as it matters here. */
export interface ClientHello {
  /** The name that it is for (RFC 6066, 3), in lower case, without a dot at the end; null: it says none. */
  readonly name: string | null;
  /** Of the application, the one it likes best first (ALPN, RFC 7301), as latin1; empty: it says none. */
  readonly protocols: readonly string[];
  /** That it can speak, as their numbers on the wire: 0x0303 is TLS 1.2, 0x0304 is TLS 1.3. What a client only says to grease is not left out. */
  readonly versions: readonly number[];
  /**
   * Whether it has Encrypted Client Hello (RFC 9849). Browsers say so always, with random bytes where they have no key: nobody but the
   * key's owner can tell. `name` is what everybody can read.
   */
  readonly hasEncryptedHello: boolean;
}

/** What the first bytes of a flow are. */
export type ClientHelloResult =
  /** It may become a ClientHello: more bytes are needed. Nothing at all is this too. */
  | { readonly kind: "incomplete" }
  /** No TLS: of the first bytes, one is none that TLS begins with. */
  | { readonly kind: "other" }
  /** TLS, but not as a client may write it. A server may be more lenient, and find a name in it: it is to be refused. */
  | { readonly kind: "malformed"; readonly reason: string }
  | ({ readonly kind: "hello" } & ClientHello);

/** Not as the specification wants it. Does not leave this folder. */
export class MalformedHello extends Error {}
