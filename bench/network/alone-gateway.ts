/**
 * The gateway without a machine, in a process of its own: at its cable is the kernel of this host, in a network namespace.
 *
 *     node alone-gateway.ts CABLE MTU        prints the id of the process whose network namespace it is; ends with its input
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Duplex, Readable } from "node:stream";
import { openGateway } from "../../src/network/gateway.ts";
import { PublishedPorts } from "../../src/network/flows/ports/published-ports.ts";
import { addresses, networkConfig } from "../../test/support/network/guest-peer.ts";

const [cable = "", mtu = ""] = process.argv.slice(2);
const mac = Buffer.from(addresses.guestMac).toString("hex").match(/../g)?.join(":") ?? "";
const child = spawn("unshare", ["--map-root-user", "--net", cable, "3", mtu, mac], {
  stdio: ["ignore", "pipe", "inherit", "pipe"],
});
child.once("exit", (code) => process.exit(code ?? 1));
await once(child.stdio[1] as Readable, "data");
const warn = (message: string): void => console.error(message);
await openGateway({
  link: child.stdio[3] as Duplex,
  addresses: { ...addresses, mtu: Number(mtu) },
  config: networkConfig({ maxConnections: 4096 }),
  ports: await PublishedPorts.bind([], warn),
  event: () => undefined,
  warn,
});
console.log(child.pid);
process.stdin.resume().once("end", () => {
  child.kill("SIGKILL");
  process.exit();
});
