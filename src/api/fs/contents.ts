import { InvalidConfigError, OutputTooLongError, SandboxFsError } from "../../errors/index.ts";

/** What can be written: text, which is written as UTF-8, or bytes. */
export type FsData = string | ArrayBufferView | ArrayBuffer;

/** What is to be written. @throws InvalidConfigError */
export function bytesOf(data: unknown): Buffer {
  if (typeof data === "string") {
    if (data.isWellFormed()) return Buffer.from(data);
    throw new InvalidConfigError("the text holds half of a surrogate pair, which UTF-8 cannot encode");
  }
  if (ArrayBuffer.isView(data)) return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  if (data instanceof ArrayBuffer) return Buffer.from(data);
  throw new InvalidConfigError("what is to be written is neither text nor bytes", {
    hint: "Give a string, a Uint8Array, or another view of bytes.",
  });
}

/** @param path as it is shown @throws SandboxFsError when it is no UTF-8; OutputTooLongError when it is longer than a string can be */
export function decodeText(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    if (!(error instanceof TypeError)) {
      throw new OutputTooLongError(
        `${path} has ${bytes.length} bytes, which is longer than a string can be`,
        { cause: error, hint: "Read its bytes (read), or stream it (readStream)." },
      );
    }
    throw new SandboxFsError(
      `decode: the file is no UTF-8: ${path}`,
      { operation: "decode", path, errno: null, errnoName: null },
      { hint: "Read its bytes (read)." },
    );
  }
}
