import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { createSocket } from "node:dgram";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Tree } from "./tree-programs.ts";

export interface Sent {
  readonly protocol: string;
  readonly source: string;
  readonly destination: string;
  /** Of TCP and UDP; the type of ICMP. */
  readonly port: number;
}

/** A place where nobody else sends to. */
const markAddress = "127.9.9.9";

/** Sees every packet of the internet, also what nobody takes. Of TCP only what opens a connection. */
export class Wire {
  readonly #sent: Sent[] = [];
  #marks = 0;
  readonly #waiting = new Map<number, () => void>();

  private constructor(program: ChildProcess, watching: () => void) {
    if (program.stdout === null) throw new Error("the program has no output");
    createInterface({ input: program.stdout }).on("line", (line) => {
      if (line === "watching") {
        watching();
        return;
      }
      const [protocol = "", source = "", destination = "", port = ""] = line.split(" ");
      if (destination === markAddress) {
        this.#waiting.get(Number(port))?.();
        // Nobody takes a mark.
      } else if (source !== markAddress)
        this.#sent.push({ protocol, source, destination, port: Number(port) });
    });
  }

  static async watch(tree: Tree): Promise<Wire> {
    const script = await readFile(join(import.meta.dirname, "watch-wire.py"), "utf8");
    const program = tree.spawn(["python3", "-c", script]);
    program.stderr?.pipe(process.stderr);
    return await new Promise<Wire>((resolve, reject) => {
      const wire: Wire = new Wire(program, () => resolve(wire));
      program.once("close", () => reject(new Error("nobody watches the wire any more")));
    });
  }

  /** What has been sent since the last call. Everything that was sent before this call is in it. */
  async take(): Promise<Sent[]> {
    const port = 10_000 + (this.#marks++ % 50_000);
    const seen = new Promise<void>((resolve) => this.#waiting.set(port, resolve));
    const socket = createSocket("udp4");
    socket.send("mark", port, markAddress, () => socket.close());
    await seen;
    this.#waiting.delete(port);
    return this.#sent.splice(0);
  }

  /** @returns what went to an address since the last call of {@link take}, as `tcp/80` */
  async takeTo(...addresses: readonly string[]): Promise<string[]> {
    const sent = await this.take();
    return sent
      .filter(({ destination }) => addresses.includes(destination))
      .map(({ protocol, port }) => `${protocol}/${port}`);
  }

  /** Fails when anything at all was sent to one of them since the last look. */
  async nothingTo(...addresses: readonly string[]): Promise<void> {
    assert.deepEqual(await this.takeTo(...addresses), []);
  }
}
