import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFile, cp, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { cpioArchive } from "../../../guest/cpio.ts";
import type * as Api from "../../../src/index.ts";
import { encodeFrame, FrameKind } from "../../../src/protocol/frame.ts";
import { encodeMessage, PROTOCOL_VERSION, type Message } from "../../../src/protocol/generated/messages.ts";
import { messages } from "../../../src/protocol/schema/schema.ts";
import { guestDirectory } from "../../../src/host/package-files.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** Bytes that the hostile agent sends, and when. */
export interface Part {
  readonly bytes: Buffer;
  /** Waits for a message of the supervisor's. At once when it is missing. */
  readonly after?: Message["type"];
  /** Leaves the part out when this message comes before the one that it waits for. */
  readonly unless?: Message["type"];
  /** `forever`: sends them again and again, and nothing else; without bytes it is silent from then on. `die`: PID 1 ends. */
  readonly how?: "once" | "forever" | "die";
}

const hows = ["once", "forever", "die"];
const tagOf = (type: Message["type"] | undefined): number =>
  type === undefined ? 0 : (messages[type]?.tag ?? 0);

export const control = (stream: number, message: Message): Buffer =>
  encodeFrame(stream, FrameKind.control, encodeMessage(message));
export const helloOf = (protocolVersion: number): Buffer =>
  control(0, { type: "AgentHello", protocolVersion, agentVersion: "0", kernelRelease: "6" });
export const hello = helloOf(PROTOCOL_VERSION);
export const ready = control(0, { type: "Ready" });

/** What a guest does that keeps to the rules until it runs its first command. */
export const politeStart: readonly Part[] = [
  { bytes: hello },
  { after: "Mount", bytes: control(0, { type: "Mounted" }) },
  { after: "Boot", bytes: ready },
];

/** A copy of this package whose guest has a PID 1 that does as it is told, to the supervisor's harm. */
export class HostilePackage implements AsyncDisposable {
  readonly api: typeof Api;
  readonly #directory: string;
  readonly #guest: string;
  readonly #init: Buffer;

  private constructor(directory: string, guest: string, init: Buffer, api: typeof Api) {
    this.#directory = directory;
    this.#guest = guest;
    this.#init = init;
    this.api = api;
  }

  static async build(): Promise<HostilePackage> {
    const directory = await mkdtemp(join(tmpdir(), "msb-hostile-"));
    const guest = guestDirectory();
    const copy = join(directory, "dist", "guest", basename(guest));
    await mkdir(copy, { recursive: true });
    await cp(join(root, "src"), join(directory, "src"), { recursive: true });
    await copyFile(join(root, "package.json"), join(directory, "package.json"));
    await symlink(join(root, "node_modules"), join(directory, "node_modules"));
    for (const name of await readdir(guest)) {
      if (!["initramfs.cpio", "guest.json"].includes(name))
        await symlink(join(guest, name), join(copy, name));
    }
    const init = join(directory, "init");
    const source = join(root, "test", "hostile-agent", "init.rs");
    const flags = ["--edition", "2021", "-O", "-C", "target-feature=+crt-static", "-C", "strip=symbols"];
    await promisify(execFile)("rustc", [...flags, "-o", init, source]);
    // Nothing is built of that copy.
    delete process.env["MSB_PROGRAMS"];
    const api = (await import(pathToFileURL(join(directory, "src", "index.ts")).href)) as typeof Api;
    return new HostilePackage(directory, copy, await readFile(init), api);
  }

  /** What the next guest does. */
  async play(parts: readonly Part[]): Promise<void> {
    const play = parts.flatMap(({ bytes, after, unless, how = "once" }) => {
      const header = Buffer.alloc(7);
      header.writeUInt32BE(bytes.length, 0);
      header.set([hows.indexOf(how), tagOf(after), tagOf(unless)], 4);
      return [header, bytes];
    });
    // The kernel unpacks one archive after the other; the second one's files replace those of the first.
    const own = cpioArchive([
      { kind: "file", path: "init", mode: 0o755, content: this.#init },
      { kind: "file", path: "play", mode: 0o644, content: Buffer.concat(play) },
    ]);
    const honest = await readFile(join(guestDirectory(), "initramfs.cpio"));
    await writeFile(join(this.#guest, "initramfs.cpio"), Buffer.concat([honest, own]));
    // Another guest, whose templates are others.
    const manifest = JSON.parse(await readFile(join(guestDirectory(), "guest.json"), "utf8")) as object;
    const initramfs = createHash("sha256").update(own).digest("hex");
    await writeFile(join(this.#guest, "guest.json"), JSON.stringify({ ...manifest, initramfs }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }
}
