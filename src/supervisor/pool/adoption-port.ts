import { rename } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import * as v from "valibot";
import { ProtocolError } from "../../errors/index.ts";
import { writeFileAtomically } from "../../host/files/atomic-file.ts";
import { withSharedBuffer } from "../../host/system/shared-read-buffer.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import { encodeControlFrame } from "../../protocol/control.ts";
import { encodeFailure } from "../../protocol/failure.ts";
import { PROTOCOL_VERSION } from "../../protocol/generated/messages.ts";
import { socketPath, type Home } from "../../store/home.ts";
import { checkRecord, recordText, type SandboxRecord } from "../../store/sandbox-record.ts";
import { nameTaken, sandboxPaths, type SandboxPaths } from "../../store/sandboxes.ts";

/** What a taker says, in one line of JSON. What it says after that, and hears, is what the owner of a sandbox does. */
const requestSchema = v.object({
  protocolVersion: v.literal(PROTOCOL_VERSION),
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

/** Where a member waits for the one who takes it. It goes to the first whose sandbox can be there: its directory becomes that sandbox's. */
export class AdoptionPort {
  readonly #home: Home;
  readonly #id: string;
  readonly #paths: SandboxPaths;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #adopted = Promise.withResolvers<Adoption>();
  /** One after the other. */
  #last: Promise<void> = Promise.resolve();
  #isOver = false;

  private constructor(home: Home, id: string, paths: SandboxPaths) {
    this.#home = home;
    this.#id = id;
    this.#paths = paths;
    this.#server = createServer((socket) => {
      this.#meet(socket);
    });
  }

  /** @param paths where the member is @throws IoError */
  static async open(home: Home, id: string, paths: SandboxPaths): Promise<AdoptionPort> {
    const port = new AdoptionPort(home, id, paths);
    const path = socketPath(home, id);
    await new Promise<void>((resolve, reject) => {
      port.#server.once("error", (error) => {
        reject(ioError(`listen on ${path}`, error));
      });
      port.#server.listen(path, resolve);
    });
    return port;
  }

  get adoption(): Promise<Adoption> {
    return this.#adopted.promise;
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
      const { record, attached } = readRequest(line, this.#id);
      const json = recordText(record);
      await writeFileAtomically(this.#paths.config, json, false);
      const paths = await this.#moveTo(record.name);
      // One that is gone by now is told of nothing: then it ends as that of an owner who is gone.
      const isOwned = attached || socket.destroyed;
      this.#isOver = true;
      this.#sockets.delete(socket);
      this.close();
      const owner = withSharedBuffer(socket);
      this.#adopted.resolve({ record, json, paths, owner, attached: isOwned });
    } catch (error) {
      socket.end(encodeControlFrame(0, encodeFailure(error)));
    }
  }

  /** From then on it is that sandbox, or none if its process dies now. */
  async #moveTo(name: string): Promise<SandboxPaths> {
    const paths = sandboxPaths(this.#home, name);
    try {
      await rename(this.#paths.directory, paths.directory);
      return paths;
    } catch (error) {
      const code = errorCode(error);
      if (code === "ENOTEMPTY" || code === "EEXIST" || code === "ENOTDIR")
        throw await nameTaken(this.#home, name);
      throw ioError(`move ${this.#paths.directory} to ${paths.directory}`, error);
    }
  }
}

/** @throws ProtocolError for what another version says, InvalidConfigError for a record that is none */
function readRequest(line: string, id: string): { record: SandboxRecord; attached: boolean } {
  let request: v.InferOutput<typeof requestSchema>;
  try {
    request = v.parse(requestSchema, JSON.parse(line));
  } catch (cause) {
    throw new ProtocolError("the sandbox of the pool was asked for in a way that it does not understand", {
      cause,
    });
  }
  const record = request.record as SandboxRecord;
  checkRecord(record);
  if (record.id !== id) throw new ProtocolError("another sandbox was asked for");
  return { record, attached: request.attached };
}
