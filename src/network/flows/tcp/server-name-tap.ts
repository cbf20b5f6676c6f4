import type { TcpHandler } from "../../tcp/connection.ts";
import { ClientHelloReader, clientHelloLimit } from "../../tls/client-hello.ts";

/**
 * Reads the name of the server (SNI, RFC 6066, 3) in what passes from the guest, and holds nothing back: for a network that is only
 * observed. What is no TLS, or not as it should be, gives no name.
 */
export class ServerNameTap implements TcpHandler {
  readonly #next: TcpHandler;
  readonly #named: (name: string) => void;
  /** null: it has seen enough. */
  #reader: ClientHelloReader | null = new ClientHelloReader();
  #bytes = 0;

  /**
   * @param next is told everything
   * @param named called once, if there is a name
   */
  constructor(next: TcpHandler, named: (name: string) => void) {
    this.#next = next;
    this.#named = named;
  }

  established(): void {
    this.#next.established?.();
  }

  data(bytes: Buffer): void {
    if (this.#reader !== null) this.#look(this.#reader, bytes);
    this.#next.data(bytes);
  }

  ended(): void {
    this.#reader = null;
    this.#next.ended();
  }

  drained(): void {
    this.#next.drained();
  }

  acknowledged(bytes: number): void {
    this.#next.acknowledged(bytes);
  }

  closed(how: "closed" | "reset" | "timeout"): void {
    this.#reader = null;
    this.#next.closed(how);
  }

  #look(reader: ClientHelloReader, bytes: Buffer): void {
    const seen = reader.push(bytes);
    this.#bytes += bytes.length;
    if (seen.kind === "incomplete" && this.#bytes < clientHelloLimit) return;
    this.#reader = null;
    if (seen.kind === "hello" && seen.name !== null) this.#named(seen.name);
  }
}
