import type { IpAddress } from "../../host/ip/address.ts";

/** A connection between the guest and somebody outside, whom this end of the cable stands for. */
export interface TcpConnection {
  /** Whom the guest speaks to. */
  readonly remote: { readonly address: IpAddress; readonly port: number };
  readonly guestPort: number;
  /** Both directions are open, or were. */
  readonly isEstablished: boolean;
  /** Most bytes in one segment to the guest. Pieces of this size, or of a multiple, are sent without being copied. */
  readonly maxSegment: number;

  /**
   * Sends bytes to the guest. They are kept until the guest has acknowledged them, and are not to be changed before.
   *
   * @returns false when as many wait as should: more may come after {@link TcpHandler.drained}
   */
  write(bytes: Uint8Array): boolean;
  /** Ends this direction once everything is sent: a FIN. */
  end(): void;
  /** Ends both at once: an RST. `closed` is not called any more. */
  reset(): void;
  /** So many bytes that came are used up: as many more may come. */
  consume(bytes: number): void;
}

/** What comes of a connection. */
export interface TcpHandler {
  /** The handshake is over. */
  established?(): void;
  /** Bytes of the guest, valid until this returns. Whoever has used them up says so: {@link TcpConnection.consume}. */
  data(bytes: Buffer): void;
  /** The guest's direction has ended: its FIN. */
  ended(): void;
  /** More can be written. */
  drained(): void;
  /**
   * The guest has so many more bytes of what was written, from the oldest on: nobody reads them any more, and whoever wrote them may use
   * their memory again.
   */
  acknowledged(bytes: number): void;
  /** Nothing more comes. `reset`: the guest refused it or gave it up; `timeout`: it did not answer any more. Called once. */
  closed(how: "closed" | "reset" | "timeout"): void;
}

/**
 * How a request is refused. `reset`: an RST, at once. `drop`: no answer; the guest may ask again. The others: an ICMP error, by which a
 * program sees EHOSTUNREACH or ENETUNREACH; an RST where none can be sent.
 */
export type Refusal = "reset" | "drop" | "host-unreachable" | "network-unreachable";

/** A connection that the guest asks for: a SYN that was not answered yet. Exactly one of its methods is to be called, at any time. */
export interface TcpRequest {
  readonly remote: { readonly address: IpAddress; readonly port: number };
  readonly guestPort: number;
  /** Answers the SYN. */
  accept(handler: TcpHandler): TcpConnection;
  refuse(how: Refusal): void;
  /**
   * Calls back when the guest takes it back before it was answered, or when it is dropped because there are too many. Nothing has to be
   * answered then; who accepts all the same gets a connection that is closed as `reset` at once.
   */
  onAbandoned(callback: () => void): void;
}

/** All connections of a guest. */
export interface TcpStack {
  /**
   * Connects to a port of the guest.
   *
   * @param from whom the guest takes it to be from; the address decides about the family. Port 0: one that is free
   * @throws RangeError when there is such a connection, or no port is free
   */
  connect(
    from: { readonly address: IpAddress; readonly port: number },
    guestPort: number,
    handler: TcpHandler,
  ): TcpConnection;
  /** Ends all of them without a word. */
  close(): void;
}
