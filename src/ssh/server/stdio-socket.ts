import { Duplex } from "node:stream";

/** Standard input and output of this process as one connection. Its end does not end them: others may print. */
export function stdioSocket(input: NodeJS.ReadableStream, output: NodeJS.WritableStream): Duplex {
  const socket: Duplex = new Duplex({
    read: () => {
      input.resume();
    },
    write: (chunk: Buffer, _encoding, done) => {
      output.write(chunk, done);
    },
    final: (done) => {
      output.write("", () => done());
    },
    destroy: (error, done) => {
      input.off("data", onData).off("end", onEnd).off("close", onEnd).pause();
      output.off("error", onError).off("close", onError);
      done(error);
    },
  });
  const onData = (chunk: Buffer): void => {
    if (!socket.push(chunk)) input.pause();
  };
  // Whoever says nothing more on a connection of SSH has left it.
  const onEnd = (): void => {
    socket.destroy();
  };
  const onError = (): void => {
    socket.destroy();
  };
  input.on("data", onData).on("end", onEnd).on("close", onEnd);
  output.on("error", onError).on("close", onError);
  return socket;
}
