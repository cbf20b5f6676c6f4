import { rename } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import * as v from "valibot";
import { ProtocolError, RuntimeError } from "../../errors/index.ts";
import { writeFileAtomically } from "../../host/files/atomic-file.ts";
import { withSharedBuffer } from "../../host/system/shared-read-buffer.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import { encodeControlFrame } from "../../protocol/control.ts";
import { encodeFailure } from "../../protocol/failure.ts";
import { PROTOCOL_VERSION } from "../../protocol/generated/messages.ts";
import { socketPath, type Home } from "../../store/home.ts";
import type { PoolRecord } from "../../store/pools/pools.ts";
import { checkRecord, recordText, type SandboxRecord } from "../../store/sandbox-record.ts";
import { nameTaken, sandboxPaths, type SandboxPaths } from "../../store/sandboxes.ts";

const versionSchema = v.looseObject({ protocolVersion: v.number() });

/** What a taker says, in one line of JSON. What it says after that, and hears, is what the owner of a sandbox does. */
const requestSchema = v.object({
  protocolVersion: v.literal(PROTOCOL_VERSION),
  /** The id of the pool that he means: by its name he may find one that he does not know. */
  pool: v.string(),
  attached: v.boolean(),
  record: v.record(v.string(), v.unknown()),
});

/** Somebody who has taken a member. */
export interface Adoption {
  readonly record: SandboxRecord;
  /** The record's text. */
  readonly json: string;
  /** Where the sandbox is now. */
  readonly paths: SandboxPaths;
  readonly owner: Duplex;
  readonly attached: boolean;
}

/** Of a record. */
const longestLine = 4 * 1024 * 1024;
const newline = 0x0a;

/** The member that waits at a port. */
export interface WaitingMember {
  readonly id: string;
  readonly paths: SandboxPaths;
  readonly pool: Pick<PoolRecord, "id" | "config">;
}

/** Where a member waits for the one who takes it. It goes to the first whose sandbox can be there: its directory becomes that sandbox's. */
export class AdoptionPort {
  readonly #home: Home;
  readonly #member: WaitingMember;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #adopted = Promise.withResolvers<Adoption>();
  /** One after the other. */
  #last: Promise<void> = Promise.resolve();
  #isOver = false;
  #isOutdated = false;

  private constructor(home: Home, member: WaitingMember) {
    this.#home = home;
    this.#member = member;
    this.#adopted.promise.catch(() => undefined);
    this.#server = createServer((socket) => {
      this.#meet(socket);
    });
  }

  /** @throws IoError */
  static async open(home: Home, member: WaitingMember): Promise<AdoptionPort> {
    const port = new AdoptionPort(home, member);
    const path = socketPath(home, member.id);
    await new Promise<void>((resolve, reject) => {
      port.#server.once("error", (error) => {
        reject(ioError(`listen on ${path}`, error));
      });
      port.#server.listen(path, resolve);
    });
    return port;
  }

  /** Rejects when nobody can take the member any more who takes from its pool by now. */
  get adoption(): Promise<Adoption> {
    return this.#adopted.promise;
  }

  /** Whether that is so: whoever wanted it starts another one. */
  get isOutdated(): boolean {
    return this.#isOutdated;
  }

  close(): void {
    this.#isOver = true;
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #meet(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => this.#sockets.delete(socket));
    const pieces: Buffer[] = [];
    let bytes = 0;
    const take = (piece: Buffer): void => {
      pieces.push(piece);
      bytes += piece.length;
      if (piece.at(-1) === newline) {
        socket.off("data", take);
        socket.pause();
        const line = Buffer.concat(pieces).toString();
        this.#last = this.#last.then(() => this.#adopt(line, socket));
      } else if (bytes > longestLine) socket.destroy();
    };
    socket.on("data", take);
  }

  async #adopt(line: string, socket: Socket): Promise<void> {
    // Of those who come too late, and those who are gone by now.
    if (this.#isOver || socket.destroyed) {
      socket.destroy();
      return;
    }
    try {
      const request = parseRequest(line);
      const outdated = this.#whyOutdated(request);
      if (outdated !== null) {
        this.#isOutdated = this.#isOver = true;
        const end = (): void => {
          this.#adopted.reject(new RuntimeError(outdated));
        };
        socket.once("close", end).end(refusal(new ProtocolError(outdated)), end);
        return;
      }
      const { record, attached } = readRequest(request, this.#member);
      const json = recordText(record);
      await writeFileAtomically(this.#member.paths.config, json, false);
      const paths = await this.#moveTo(record.name);
      // One that is gone by now is told of nothing: then it ends as that of an owner who is gone.
      const isOwned = attached || socket.destroyed;
      this.#isOver = true;
      this.#sockets.delete(socket);
      this.close();
      const owner = withSharedBuffer(socket);
      this.#adopted.resolve({ record, json, paths, owner, attached: isOwned });
    } catch (error) {
      socket.end(refusal(error));
    }
  }

  /** null: it is what its taker wants. */
  #whyOutdated(request: unknown): string | null {
    const version = v.safeParse(versionSchema, request);
    if (version.success && version.output.protocolVersion !== PROTOCOL_VERSION)
      return "the sandbox of the pool is of another version of microsandbox";
    const asked = v.safeParse(requestSchema, request);
    const { id, config } = this.#member.pool;
    if (!asked.success || asked.output.pool !== id) return null;
    // The pool was made anew meanwhile, and its image is another one.
    const { imageDigest } = Object(asked.output.record["config"]) as { readonly imageDigest?: unknown };
    return imageDigest === config.imageDigest ? null : "the sandbox of the pool has another image";
  }

  /** From then on it is that sandbox, or none if its process dies now. */
  async #moveTo(name: string): Promise<SandboxPaths> {
    const paths = sandboxPaths(this.#home, name);
    try {
      await rename(this.#member.paths.directory, paths.directory);
      return paths;
    } catch (error) {
      const code = errorCode(error);
      if (code === "ENOTEMPTY" || code === "EEXIST" || code === "ENOTDIR")
        throw await nameTaken(this.#home, name);
      throw ioError(`move ${this.#member.paths.directory} to ${paths.directory}`, error);
    }
  }
}

function refusal(error: unknown): Buffer {
  return encodeControlFrame(0, encodeFailure(error));
}

/** @throws ProtocolError */
function parseRequest(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw notUnderstood(cause);
  }
}

/** @throws ProtocolError for what it does not understand, or is meant for another one; InvalidConfigError for a record that is none */
function readRequest(
  stored: unknown,
  { id, pool }: WaitingMember,
): { record: SandboxRecord; attached: boolean } {
  const request = v.safeParse(requestSchema, stored);
  if (!request.success) throw notUnderstood(request.issues[0]);
  if (request.output.pool !== pool.id) throw new ProtocolError("a sandbox of another pool was asked for");
  const record = request.output.record as SandboxRecord;
  checkRecord(record);
  if (record.id !== id) throw new ProtocolError("another sandbox was asked for");
  return { record, attached: request.output.attached };
}

function notUnderstood(cause: unknown): ProtocolError {
  return new ProtocolError("the sandbox of the pool was asked for in a way that it does not understand", {
    cause,
  });
}
