/** Guests that are alike but for who is at the other end of their cable. All reach the host's loopback through their gateway's address. */
import { NetworkPolicy, Sandbox } from "microsandbox";
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { cp, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { guestDirectory } from "../src/host/package-files.ts";
import type { Accelerator } from "../src/machine/types.ts";
import { BareGuest } from "./bare-guest.ts";
import type { Caller } from "./network/caller.ts";
import { publishedPort } from "./network/published.ts";
import { processesOf } from "./processes.ts";

const run = promisify(execFile);

export const peerNames = ["gateway", "libslirp", "passt"] as const;
export type PeerName = (typeof peerNames)[number];

/** A guest whose network is measured. */
export interface NetworkGuest extends Caller, AsyncDisposable {
  readonly qemu: number;
  /** The process at the other end; null where that is QEMU itself. */
  readonly peer: number | null;
  /** With the gateway. */
  readonly sandbox: Sandbox | null;
}

/** Of {@link makeRoot}. */
const probe = "/usr/bin/probe";

const memoryMib = 512;

/** The embedded image's files, and iperf3 with its libraries. @param probeProgram `probe.rs`, which is put there too */
export async function makeRoot(root: string, probeProgram: string): Promise<void> {
  await run("fsck.erofs", [`--extract=${root}`, join(guestDirectory(), "base.erofs")]);
  const { stdout: program } = await run("sh", ["-c", "command -v iperf3"]);
  const { stdout } = await run("ldd", [program.trim()]);
  const libraries = stdout.match(/\/\S+/g) ?? [];
  for (const path of [program.trim(), ...libraries]) {
    await mkdir(join(root, dirname(path)), { recursive: true });
    await cp(path, join(root, path), { dereference: true });
  }
  await cp(probeProgram, join(root, probe));
}

/** @param directory for sockets */
export async function startGuest(
  peer: PeerName,
  root: string,
  mtu: number,
  accelerator: Accelerator,
  directory: string,
): Promise<NetworkGuest> {
  if (peer === "gateway") return await startSandbox(root, mtu);
  const slirp = peer === "libslirp" ? null : await startPasst(directory, mtu);
  const cable = slirp?.cable ?? ["-netdev", "user,id=network,ipv6=off"];
  const device = `virtio-net-device,netdev=network,mac=02:6d:73:00:00:02,host_mtu=${mtu}`;
  const guest = await BareGuest.boot(accelerator, memoryMib, {
    root,
    cable: [...cable, "-device", device],
    network: {
      mac: Uint8Array.of(2, 0x6d, 0x73, 0, 0, 2),
      mtu,
      addresses: [{ address: Uint8Array.of(10, 0, 2, 15), prefix: 24, gateway: Uint8Array.of(10, 0, 2, 2) }],
    },
  });
  return {
    host: "10.0.2.2",
    probe,
    qemu: guest.pid,
    peer: slirp?.child.pid ?? null,
    sandbox: null,
    output: (script) => guest.output(script),
    async [Symbol.asyncDispose]() {
      await guest[Symbol.asyncDispose]();
      slirp?.child.kill("SIGKILL");
    },
  };
}

async function startSandbox(root: string, mtu: number): Promise<NetworkGuest> {
  const sandbox = await Sandbox.builder("network")
    .image(root)
    .memory(memoryMib)
    .network((n) =>
      n
        .policy(NetworkPolicy.allowAll())
        .interface((i) => i.mtu(mtu))
        .maxConnections(4096),
    )
    .port(0, publishedPort)
    .replace()
    .create();
  const { supervisor, qemu } = await processesOf("network");
  const output = async (script: string): Promise<string> => {
    const result = await sandbox.exec("sh", ["-c", script]);
    if (result.code !== 0) throw new Error(`${script} ended with ${result.code}: ${result.stderr()}`);
    return result.stdout();
  };
  return {
    host: (await output("ip -4 route show default")).split(" ")[2] ?? "",
    probe,
    qemu,
    peer: supervisor,
    sandbox,
    output,
    async [Symbol.asyncDispose]() {
      await sandbox[Symbol.asyncDispose]();
    },
  };
}

async function startPasst(
  directory: string,
  mtu: number,
): Promise<{ readonly cable: readonly string[]; readonly child: ChildProcess }> {
  const socket = join(directory, `passt-${mtu}.sock`);
  const addresses = ["-a", "10.0.2.15", "-n", "24", "-g", "10.0.2.2", "-4"];
  const words = ["--foreground", "--quiet", "--socket", socket, "-m", String(mtu), ...addresses];
  const child = spawn("passt", [...words, "--runas", "0"], { stdio: ["ignore", "ignore", "pipe"] });
  let complaint = "";
  child.stderr.on("data", (chunk: Buffer) => (complaint += chunk.toString()));
  for (let tries = 0; ; tries++) {
    if (child.exitCode !== null || tries > 100) throw new Error(`passt did not start: ${complaint}`);
    if ((await run("test", ["-S", socket]).catch(() => null)) !== null) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { cable: ["-netdev", `stream,id=network,server=off,addr.type=unix,addr.path=${socket}`], child };
}
