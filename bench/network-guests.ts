/** Guests that are alike but for who is at the other end of their cable. All reach the host's loopback through their gateway's address. */
import { NetworkPolicy, Sandbox } from "microsandbox";
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { cp, mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { guestDirectory } from "../src/host/package-files.ts";
import type { Accelerator } from "../src/machine/types.ts";
import { BareGuest } from "./bare-guest.ts";

const run = promisify(execFile);

export const peerNames = ["gateway", "libslirp", "passt"] as const;
export type PeerName = (typeof peerNames)[number];

/** A guest whose network is measured. */
export interface NetworkGuest extends AsyncDisposable {
  /** Where the guest finds the host's loopback. */
  readonly host: string;
  /** Runs a script of the shell. @returns what it prints */
  output(script: string): Promise<string>;
  /** Processor time of whoever is at the other end, beside QEMU, ms; null where that is QEMU itself. */
  peerCpuMs(): Promise<number | null>;
}

const memoryMib = 512;

/** The embedded image's files, and iperf3 with its libraries. */
export async function makeRoot(root: string): Promise<void> {
  await run("fsck.erofs", [`--extract=${root}`, join(guestDirectory(), "base.erofs")]);
  const { stdout: program } = await run("sh", ["-c", "command -v iperf3"]).catch(() => {
    throw new Error("there is no iperf3 on this host: install it (apt-get install iperf3 passt slirp4netns)");
  });
  const { stdout } = await run("ldd", [program.trim()]);
  const libraries = stdout.match(/\/\S+/g) ?? [];
  for (const path of [program.trim(), ...libraries]) {
    await mkdir(join(root, dirname(path)), { recursive: true });
    await cp(path, join(root, path), { dereference: true });
  }
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
    output: (script) => guest.output(script),
    peerCpuMs: () => (slirp === null ? Promise.resolve(null) : cpuMs(slirp.child.pid)),
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
    .network((n) => n.policy(NetworkPolicy.allowAll()).interface((i) => i.mtu(mtu)))
    .replace()
    .create();
  const state = join(process.env["MSB_HOME"] ?? "", "sandboxes/network/state.json");
  const { supervisor } = JSON.parse(await readFile(state, "utf8")) as { supervisor: { pid: number } };
  return {
    host: "host.microsandbox.internal",
    output: async (script) => {
      const result = await sandbox.exec("sh", ["-c", script]);
      if (result.code !== 0) throw new Error(`${script} ended with ${result.code}: ${result.stderr()}`);
      return result.stdout();
    },
    peerCpuMs: () => cpuMs(supervisor.pid),
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

/** Of a process on Linux (proc(5), stat: utime and stime, in hundredths of a second). */
async function cpuMs(pid: number | undefined): Promise<number> {
  const fields = (await readFile(`/proc/${pid ?? 0}/stat`, "utf8")).split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
