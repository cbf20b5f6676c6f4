import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { IoError } from "../../../errors/index.ts";
import { ioError } from "../../../host/system-error.ts";
import { readTree } from "../../../host/tree/read-tree.ts";
import type { TreeEvent } from "../../../host/tree/tree.ts";
import { encodeData, encodeEntry, encodeHole } from "../../../protocol/tree-records.ts";
import type { FsCopyOptions } from "./copy-options.ts";
import type { GuestFiles, PathCall } from "../guest-files.ts";
import type { GuestStream } from "../guest-stream.ts";
import { Refusals } from "./partial-copy.ts";

/** What is smaller is gathered into frames, bytes; the rest is sent as it is. */
const gatheredBytes = 32 * 1024;
const frameBytes = 64 * 1024;

/** Copies a file or a directory of the host into the guest, in one stream. */
export async function copyFromHost(
  files: GuestFiles,
  call: PathCall,
  hostPath: string,
  options: FsCopyOptions,
): Promise<void> {
  const { signal } = call.operation;
  const { archive = false, followSymlinks = false } = options;
  const source = resolve(hostPath);
  const isFile = await isRegularFile(source);
  const keep = archive || !isFile;
  const request = {
    type: "TreeReceive",
    path: call.path,
    keepMode: keep,
    keepTimes: keep,
    keepOwner: archive,
  } as const;
  await files.during(call, request, async (stream) => {
    await stream.opened(signal);
    const sender = new TreeSender(stream, options, signal);
    const batches = readTree(source, { followRoot: true, followAll: followSymlinks, signal });
    try {
      // The next ones are read while these are sent.
      for (let next = batches.next(); ;) {
        const batch = await next;
        if (batch.done === true) break;
        next = batches.next();
        next.catch(() => undefined);
        await sender.send(batch.value);
      }
    } finally {
      await batches.return(undefined).catch(() => undefined);
    }
    await sender.flush();
    stream.end();
    const last = await stream.finished(signal);
    sender.tell();
    if (last.type !== "TreeDone") return;
    const refusals = new Refusals();
    for (const { path, message } of last.problems) refusals.add(path, message);
    refusals.addUnnamed(last.problemCount - last.problems.length);
    refusals.throwIfAny(`copy ${hostPath}`);
  });
}

/** @throws IoError for what is neither a file nor a directory */
async function isRegularFile(path: string): Promise<boolean> {
  const found = await stat(path).catch((error: unknown) => {
    throw ioError(`read ${path}`, error, "userFile");
  });
  if (found.isFile() || found.isDirectory()) return found.isFile();
  throw new IoError(`cannot copy ${path}: it is a device, a pipe or a socket`, {
    hint: "Name a file or a directory, or read it yourself and use writeStream().",
  });
}

/** Sends the events of a tree as records. */
class TreeSender {
  readonly #stream: GuestStream;
  readonly #options: FsCopyOptions;
  readonly #signal: AbortSignal;
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  #entries = 0;
  #bytes = 0;

  constructor(stream: GuestStream, options: FsCopyOptions, signal: AbortSignal) {
    this.#stream = stream;
    this.#options = options;
    this.#signal = signal;
  }

  async send(events: readonly TreeEvent[]): Promise<void> {
    for (const event of events) {
      if (event.type === "entry") {
        this.#entries++;
        this.#gather(encodeEntry(event.entry));
      } else if (event.type === "hole") this.#gather(encodeHole(event.length));
      else {
        const { bytes } = event;
        this.#bytes += bytes.length;
        this.#gather(encodeData(bytes.length));
        if (bytes.length < gatheredBytes) this.#gather(bytes);
        else {
          await this.flush();
          await this.#stream.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), this.#signal);
        }
      }
      if (this.#gatheredBytes >= frameBytes) await this.flush();
    }
    this.tell();
  }

  async flush(): Promise<void> {
    if (this.#gatheredBytes === 0) return;
    const bytes = Buffer.concat(this.#gathered, this.#gatheredBytes);
    this.#gathered = [];
    this.#gatheredBytes = 0;
    await this.#stream.write(bytes, this.#signal);
  }

  tell(): void {
    this.#options.onProgress?.({ entries: this.#entries, bytes: this.#bytes });
  }

  #gather(bytes: Uint8Array): void {
    this.#gathered.push(bytes);
    this.#gatheredBytes += bytes.length;
  }
}
