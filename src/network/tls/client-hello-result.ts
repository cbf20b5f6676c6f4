/** What the first bytes of a flow are. */
export type ClientHelloResult =
  /** It may become a ClientHello: more bytes are needed. Nothing at all is this too. */
  | { readonly kind: "incomplete" }
  /** No TLS: of the first bytes, one is none that TLS begins with. */
  | { readonly kind: "other" }
  /** TLS, but not as a client may write it. A server may be more lenient, and find a name in it: it is to be refused. */
  | { readonly kind: "malformed"; readonly reason: string }
  /** TLS, and the name that it is for, in lower case, without a dot at the end; null: it says none. */
  | { readonly kind: "hello"; readonly name: string | null };

/** Not as the specification wants it. Does not leave this folder. */
export class MalformedHello extends Error {}
