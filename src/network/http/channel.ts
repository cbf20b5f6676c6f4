/** What is known of the connection that requests come on. */
export interface Channel {
  /** `tls`: intercepted. `plain`: HTTP without TLS. `connect`: the head of a CONNECT to a proxy. */
  readonly kind: "tls" | "plain" | "connect";
  /** `tls`: the name that the guest has asked for by SNI, in lower case. null: none. */
  readonly serverName: string | null;
  /** `tls`: whether the server has proved to be `serverName`. It need not where nobody is asked to. Else false. */
  readonly isProved: boolean;
  /** Where the guest has connected to, as it wrote it. */
  readonly address: string;
  readonly port: number;
  /**
   * Whether DNS has told the guest that this address is that of such a name, or the name is the host's own and the address the gateway's,
   * or the name was pinned by a CONNECT.
   *
   * @param matches is asked of names in lower case
   */
  isBoundTo(matches: (name: string) => boolean): boolean;
}
