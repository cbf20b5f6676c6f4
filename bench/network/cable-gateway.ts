import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Duplex, Readable } from "node:stream";
import { PublishedPorts } from "../../src/network/flows/ports/published-ports.ts";
import { openGateway } from "../../src/network/gateway.ts";
import type { Interception } from "../../src/network/interception/interception.ts";
import { addresses, networkConfig } from "../../test/support/network/guest-peer.ts";

/**
 * Has the gateway, without a machine, in this process: at its cable is the kernel of this host, in a network namespace (`cable.rs`). Prints
 * the id of the process whose namespace it is, and ends with its input.
 *
 * @param cable path of the program
 */
export async function serveCable(
  cable: string,
  mtu: number,
  interception: Interception | null,
): Promise<void> {
  const mac = Buffer.from(addresses.guestMac).toString("hex").match(/../g)?.join(":") ?? "";
  const child = spawn("unshare", ["--map-root-user", "--net", cable, "3", String(mtu), mac], {
    stdio: ["ignore", "pipe", "inherit", "pipe"],
  });
  child.once("exit", (code) => process.exit(code ?? 1));
  await once(child.stdio[1] as Readable, "data");
  const warn = (message: string): void => console.error(message);
  await openGateway({
    link: child.stdio[3] as Duplex,
    addresses: { ...addresses, mtu },
    config: networkConfig({ maxConnections: 4096 }),
    ports: await PublishedPorts.bind([], warn),
    interception,
    event: () => undefined,
    warn,
  });
  console.log(child.pid);
  process.stdin.resume().once("end", () => {
    child.kill("SIGKILL");
    process.exit();
  });
}
