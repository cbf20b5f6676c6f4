import type { Duplex } from "node:stream";
import type { AuthContext, Connection, Session } from "ssh2";
import { setTimeout as sleep } from "node:timers/promises";
import { firstEvent } from "../../host/first-event.ts";
import type { loadLibrary } from "../load-library.ts";
import type { SshGuest } from "../guest.ts";
import { serveForwarding } from "./forwarding.ts";
import type { GuestUser } from "./guest-users.ts";
import { sshLimits } from "./limits.ts";
import { decideLogin, type Admission } from "./login.ts";
import type { OpenChannel } from "./open-channel.ts";
import { serveSession, type SessionContext } from "./session.ts";
import { Transport } from "./transport.ts";

export interface ConnectionOptions {
  readonly guest: SshGuest;
  readonly library: Awaited<ReturnType<typeof loadLibrary>>;
  /** In OpenSSH's format. */
  readonly hostKey: string;
  readonly admission: Admission;
  readonly sftp: boolean;
  /** 0: none. */
  readonly inactivityMs: number;
  /** Value of SSH_CONNECTION. */
  readonly peers: string;
}

/** Nothing that is known to be weak, and no compression, which a client could make a bomb of. */
const algorithms = {
  kex: [
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group14-sha256",
  ],
  serverHostKey: ["ssh-ed25519"],
  // AES first: the processor does it, and Node without a detour.
  cipher: [
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes256-ctr",
    "chacha20-poly1305@openssh.com",
  ],
  hmac: ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512"],
  compress: ["none"],
} as const;

/** One client, from its first byte to its end, and that of all that it has started. */
export class SshConnection {
  readonly #options: ConnectionOptions;
  readonly #transport: Transport;
  readonly #gone = new AbortController();
  readonly #work = new Set<Promise<void>>();
  readonly #channels = new Set<OpenChannel>();
  readonly #over = Promise.withResolvers<void>();
  #client: Connection | null = null;
  #user: GuestUser | null = null;
  #keys = 0;
  /** Sessions that are open, with a command or without. */
  #sessions = 0;
  /** So many commands whose clients go next are left running. */
  #leaves = 0;

  constructor(socket: Duplex, options: ConnectionOptions) {
    this.#options = options;
    this.#transport = new Transport(socket, options.inactivityMs, () => this.end());
    const login = setTimeout(() => socket.destroy(), sshLimits.loginMs);
    socket.on("error", () => undefined);
    socket.once("close", () => {
      clearTimeout(login);
      this.#gone.abort();
      void this.#settle();
    });
    const { Server } = options.library;
    const server = new Server(
      {
        hostKeys: [options.hostKey],
        ident: "microsandbox",
        algorithms: algorithms as never,
        // The client may ask whether we are there; a connection that is silent for too long is ended all the same.
        keepaliveInterval: 2 ** 31 - 1,
      },
      (client) => {
        this.#client = client;
        client.on("error", () => undefined);
        client.on("ready", () => {
          clearTimeout(login);
          this.#transport.watch();
          socket.on("data", () => this.#checkFairness());
        });
        client.on("authentication", (attempt) => void this.#login(attempt));
        client.on("session", (accept, reject) => {
          const context = this.#context();
          const session = context === null ? undefined : (accept() as Session | undefined);
          if (context === null || session === undefined) reject();
          else {
            this.#sessions++;
            session.on("close", () => {
              this.#sessions--;
            });
            serveSession(session, context);
          }
        });
        client.on("tcpip", (accept, reject, info) => {
          const context = this.#context();
          if (context === null) reject();
          else this.#track(serveForwarding(accept, reject, info, context));
        });
      },
    );
    server.on("error", () => undefined);
    (server as unknown as { injectSocket(socket: Duplex): void }).injectSocket(socket);
  }

  /** Whether the client has proved who it is. */
  get isKnown(): boolean {
    return this.#user !== null;
  }

  /** Resolves when the connection is over, and all that was started on it has ended. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  /** Ends it: the client is told, if it listens. */
  end(): void {
    const { socket } = this.#transport;
    if (socket.destroyed) return;
    this.#client?.end();
    socket.end();
    const closed = firstEvent(socket, ["close"]);
    void Promise.race([closed, sleep(sshLimits.farewellMs)]).then(() => socket.destroy());
  }

  /** The next command whose client goes is left running. */
  leaveNext(): void {
    this.#leaves++;
  }

  async #login(attempt: AuthContext): Promise<void> {
    const { admission, guest } = this.#options;
    try {
      if (++this.#keys > sshLimits.keys) throw new Error("too many keys");
      // Set before anything that the client asks for next is looked at.
      this.#user = await decideLogin(attempt, admission, guest);
    } catch {
      this.end();
    }
  }

  /** null when there may be no more channels. */
  #context(): SessionContext | null {
    const user = this.#user;
    if (user === null || this.#sessions + this.#work.size >= sshLimits.channels || this.#gone.signal.aborted)
      return null;
    const { guest, sftp, peers } = this.#options;
    return {
      ...{ guest, user, sftp, peers, transport: this.#transport, gone: this.#gone.signal },
      track: (work) => this.#track(work),
      admit: (channel) => this.#admit(channel),
      leaves: () => this.#leaves > 0 && this.#leaves-- > 0,
    };
  }

  #track(work: Promise<void>): void {
    const tracked = work
      .catch(() => undefined)
      .finally(() => {
        this.#work.delete(tracked);
      });
    this.#work.add(tracked);
  }

  #admit(channel: OpenChannel): boolean {
    if (!channel.isFair) {
      this.#transport.socket.destroy();
      return false;
    }
    this.#channels.add(channel);
    channel.closed.addEventListener("abort", () => this.#channels.delete(channel), { once: true });
    return true;
  }

  /** The package takes more than it has allowed, and answers whoever does not read. */
  #checkFairness(): void {
    let isFair = !this.#transport.isStuffed;
    for (const channel of this.#channels) isFair &&= channel.isFair;
    if (!isFair) this.#transport.socket.destroy();
  }

  async #settle(): Promise<void> {
    while (this.#work.size > 0) await Promise.allSettled(this.#work);
    this.#over.resolve();
  }
}
