/** Writes data; resolves when it is written, so that a slow reader slows the writer down, or when it cannot be any more. */
export async function writeAll(stream: NodeJS.WriteStream, data: string | Uint8Array): Promise<void> {
  if (stream.destroyed) return;
  await new Promise<void>((resolve) => {
    // Also called for a write that fails, which `watchOutput` reports.
    stream.write(data, () => {
      resolve();
    });
  });
}

/** Resolves when what was written before has left this process, or cannot leave it any more. */
export async function flush(stream: NodeJS.WriteStream): Promise<void> {
  if (stream.destroyed || stream.writableLength === 0) return;
  await new Promise<void>((resolve) => {
    stream.write("", () => {
      resolve();
    });
  });
}

export function out(text: string): void {
  process.stdout.write(text);
}

export function err(text: string): void {
  process.stderr.write(text);
}

/**
 * Without listeners, a reader that went away (`msb logs demo | head`) would end the process with a stack trace.
 * On stdout it means that nobody wants the rest: `onGone` is told. What goes wrong on stderr cannot be reported anywhere.
 */
export function watchOutput(onGone: () => void): void {
  process.stdout.on("error", onGone);
  process.stderr.on("error", () => undefined);
}
