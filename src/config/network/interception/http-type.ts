import type { HostPattern } from "./host-pattern.ts";

/** A rule about requests. The first that matches decides; a request that none matches is allowed, as its connection was. */
export interface HttpRule {
  readonly action: "allow" | "deny";
  /** In upper case; empty: all. */
  readonly methods: readonly string[];
  readonly host: HostPattern;
  /**
   * Of the path, without the query: `*` is any run of characters but `/`, `**` any run at all. Compared with the path after its percent
   * escapes and dot segments are resolved. null: every path.
   */
  readonly path: string | null;
}

/** What is said of requests, when they can be read. */
export interface HttpConfig {
  readonly rules: readonly HttpRule[];
  /** What is refused is answered with 403 and a reason; false: the connection is broken off. */
  readonly denyResponse: boolean;
  /** The text of that answer; `{host}`, `{method}` and `{path}` are filled in. null: one of ours. */
  readonly denyMessage: string | null;
  /** Whether the program that the sandbox belongs to is asked about requests, and about answers, and for how long, ms. */
  readonly hooks: { readonly onRequest: boolean; readonly onResponse: boolean; readonly timeoutMs: number };
}
