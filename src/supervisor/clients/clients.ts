import { rm } from "node:fs/promises";
import type { Server } from "node:net";
import type { Duplex } from "node:stream";
import { RuntimeError } from "../../errors/index.ts";
import { clientServices } from "../services/client-services.ts";
import type { ServiceRegistry } from "../services/registry.ts";
import { Client, type ClientServices } from "./client.ts";
import { listenOn } from "./listen.ts";

const maximumClients = 128;
/** With those that have not said hello yet, and those that are being told that there are too many. */
const maximumConnections = 2 * maximumClients;
/** How long a client that does not read may keep the supervisor of an ended sandbox, ms. */
const farewellMs = 2_000;

/** All who are connected to the sandbox: who started it, and who comes through its socket. */
export class Clients {
  /** The connection of the process that started the sandbox. */
  readonly owner: Client;
  readonly #services: ClientServices;
  readonly #registry: ServiceRegistry;
  readonly #socket: string;
  readonly #clients = new Set<Client>();
  #server: Server | null = null;

  constructor(owner: Duplex, socket: string, services: ClientServices) {
    this.#services = services;
    this.#socket = socket;
    this.#registry = clientServices(services);
    this.owner = new Client(owner, services, this.#registry, true);
    this.#clients.add(this.owner);
  }

  /** Lets clients in. @throws IoError */
  async listen(): Promise<void> {
    this.#server = await listenOn(this.#socket, (connection) => {
      if (this.#clients.size >= maximumConnections) connection.destroy();
      else this.#clients.add(new Client(connection, this.#services, this.#registry, false));
    });
  }

  /** Whether there is room for one more. @throws RuntimeError */
  admit(): void {
    const count = [...this.#clients].filter((client) => client.greeted).length;
    if (count < maximumClients) return;
    throw new RuntimeError(`sandbox ${this.#services.name} has ${maximumClients} clients already`, {
      hint: "Let some of the programs that use it end, or share one connection.",
    });
  }

  remove(client: Client): void {
    this.#clients.delete(client);
  }

  /** No new client from here on: the name may belong to another run as soon as the lock is given up. */
  async stopListening(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    server?.close();
    await rm(this.#socket, { force: true });
  }

  /** Closes all connections, with what was sent on them on its way. */
  async farewell(): Promise<void> {
    await Promise.all([...this.#clients].map((client) => client.end(farewellMs)));
  }
}
