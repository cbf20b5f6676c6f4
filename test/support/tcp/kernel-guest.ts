import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Duplex, Readable } from "node:stream";
import type { LinkAddresses } from "../../../src/config/network/link-addresses.ts";
import { IpAddress } from "../../../src/host/ip/address.ts";
import { GuestInterface } from "../../../src/network/ip/guest-interface.ts";
import { FrameLink } from "../../../src/network/link/frame-link.ts";

const gatewayMac = Uint8Array.of(2, 0x6d, 0x73, 0, 0, 1);
const guestMac = Uint8Array.of(2, 0x6d, 0x73, 0, 0, 2);

function address(text: string): IpAddress {
  const parsed = IpAddress.parse(text);
  assert.ok(parsed !== null);
  return parsed;
}

/** The kernel of this host as a guest: in a network namespace of its own, on a cable as QEMU's. Needs python3, `unshare` and TAP devices. */
export class KernelGuest implements AsyncDisposable {
  readonly link: Duplex;
  readonly addresses: LinkAddresses;
  readonly #process: ChildProcess;

  private constructor(child: ChildProcess, mtu: number) {
    this.#process = child;
    this.link = child.stdio[3] as Duplex;
    this.addresses = {
      guestMac,
      gatewayMac,
      ipv4: { guest: address("172.16.0.2"), gateway: address("172.16.0.1"), prefix: 30 },
      ipv6: { guest: address("fd42:6d73:62::2"), gateway: address("fd42:6d73:62::1"), prefix: 64 },
      mtu,
    };
  }

  static async start(mtu: number): Promise<KernelGuest> {
    const mac = Buffer.from(guestMac).toString("hex").match(/../g)?.join(":") ?? "";
    const child = spawn(
      "unshare",
      ["--map-root-user", "--net", "python3", join(import.meta.dirname, "tap.py"), "3", `${mtu}`, mac],
      { stdio: ["ignore", "pipe", "inherit", "pipe"] },
    );
    const [first] = (await Promise.race([
      once(child.stdout as Readable, "data"),
      once(child, "exit").then(() => [null]),
    ])) as [Buffer | null];
    assert.equal(String(first).trim(), "ready", "a TAP device in a network namespace can be made");
    return new KernelGuest(child, mtu);
  }

  /** The other end of its cable. */
  plugIn(): GuestInterface {
    const failed = (error: unknown): never => {
      throw error;
    };
    const link = new FrameLink({ stream: this.link, rateLimiter: null, failed, closed: () => undefined });
    return new GuestInterface({ link, addresses: this.addresses, answersEcho: () => true });
  }

  /** Runs a program in the guest. */
  spawn(program: string, args: readonly string[]): ChildProcess {
    const { pid } = this.#process;
    assert.ok(pid !== undefined);
    return spawn(
      "nsenter",
      [
        `--user=/proc/${pid}/ns/user`,
        `--net=/proc/${pid}/ns/net`,
        "--preserve-credentials",
        program,
        ...args,
      ],
      { stdio: ["pipe", "pipe", "pipe"] },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.link.destroy();
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill("SIGKILL");
      await once(this.#process, "exit");
    }
  }
}
