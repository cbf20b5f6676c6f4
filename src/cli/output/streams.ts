import { fstatSync, writeSync } from "node:fs";
import { rawText, type Text } from "./style.ts";

/** What was asked for could not be written. */
export interface OutputFailure {
  readonly output: "stdout" | "stderr";
  readonly error: NodeJS.ErrnoException;
}

let reportFailure: (failure: OutputFailure) => void = () => undefined;

/** Prints on stdout what was asked for. Whatever is not styled by us is cleaned: see `Text`. */
export function out(text: Text): void {
  print(process.stdout, text);
}

/** Prints on stderr what is told besides: progress, notices, errors. Cleaned as by `out`. */
export function err(text: Text): void {
  print(process.stderr, text);
}

/** Prints on a stream that may be a terminal. Cleaned as by `out`. */
export function print(stream: NodeJS.WritableStream, text: Text): void {
  stream.write(rawText(text));
}

/**
 * Hands bytes of a guest through, as they are: only for what the user asked to see, the output of a command or its log.
 * Resolves when they are written, so that a slow reader slows the writer down, or when nobody can be written to any more, which
 * `watchOutput` reports, of stderr as well.
 */
export async function writeAll(stream: NodeJS.WriteStream, data: string | Uint8Array): Promise<void> {
  const error = await written(stream, data);
  if (error !== null && stream === process.stderr) reportFailure({ output: "stderr", error });
}

async function written(stream: NodeJS.WriteStream, data: string | Uint8Array): Promise<Error | null> {
  if (stream.destroyed) return null;
  return await new Promise((resolve) => {
    stream.write(data, (error) => {
      resolve(error ?? null);
    });
  });
}

/** Resolves when what was written before has left this process, or cannot leave it any more. */
export async function flush(stream: NodeJS.WriteStream): Promise<void> {
  if (stream.destroyed || stream.writableLength === 0) return;
  await written(stream, "");
}

/**
 * Reports what goes wrong on stdout: a reader that went away (EPIPE), a full disk. Without a listener it would end the
 * process with a stack trace. On stderr only what is a guest's (`writeAll`) was asked for: whatever else is told there, the command
 * has done its work.
 */
export function watchOutput(onFailure: (failure: OutputFailure) => void): void {
  reportFailure = onFailure;
  for (const stream of [process.stdout, process.stderr]) if (!stream.isTTY) writeWholly(stream, stream.fd);
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    onFailure({ output: "stdout", error });
  });
  process.stderr.on("error", () => undefined);
}

/**
 * A disk that fills up, or a limit on the size of files, takes the first part of a write. Node's stream for files takes that
 * for all of it: the end of the last write would be lost without an error.
 */
function writeWholly(stream: NodeJS.WriteStream, fd: number): void {
  if (!isStorage(fd)) return;
  stream._write = (chunk: string | Uint8Array, encoding, done) => {
    try {
      const bytes = typeof chunk === "string" ? Buffer.from(chunk, encoding) : chunk;
      for (let offset = 0; offset < bytes.length;) offset += writeSync(fd, bytes, offset);
      done();
    } catch (error) {
      done(error as Error);
    }
  };
}

function isStorage(fd: number): boolean {
  const status = fstatSync(fd);
  return status.isFile() || status.isBlockDevice();
}
