import type { ExecHandle } from "../../api/index.ts";
import { mostKeptBytes } from "./kept-outputs.ts";

/** The beginning of one output of a command, and how much there was. */
export class GatheredBytes {
  readonly #pieces: Buffer[] = [];
  #kept = 0;
  total = 0;

  add(data: Buffer): void {
    this.total += data.length;
    const kept = data.subarray(0, Math.max(0, mostKeptBytes - this.#kept));
    if (kept.length === 0) return;
    this.#kept += kept.length;
    this.#pieces.push(kept);
  }

  bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }
}

/** A command's outputs so far. */
export class CommandOutputs {
  readonly stdout = new GatheredBytes();
  readonly stderr = new GatheredBytes();
}

/**
 * Reads a command to its end. One that nobody waits for any more is killed.
 *
 * @param outputs get what it prints, also when it fails
 * @returns its exit code
 * @throws ExecTimeoutError; the signal's reason
 */
export async function gatherCommand(
  handle: ExecHandle,
  outputs: CommandOutputs,
  signal: AbortSignal,
): Promise<number> {
  await using command = handle;
  let code = -1;
  for (let event = await command.recv({ signal }); event !== null; event = await command.recv({ signal })) {
    if (event.kind === "stdout" || event.kind === "stderr") outputs[event.kind].add(event.data);
    else if (event.kind === "exited") code = event.code;
  }
  return code;
}
