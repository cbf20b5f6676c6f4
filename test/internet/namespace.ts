/**
 * A test file whose first import this is runs in a network of its own, with nothing in it but its loopback device: there the
 * addresses of the internet are at hand, and nothing leaves the machine. The mounts are its own as well. Both end with the last of
 * its processes.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { allAddresses, own, places, unreachable } from "./places.ts";

const mark = "MSB_TEST_INTERNET";

/** Begins this program again in new namespaces; its number, its outputs and what the test runner has told it stay. */
function enter(): void {
  if (process.getuid?.() !== 0) throw new Error("only root can give these tests a network of their own");
  if (process.execve === undefined) throw new Error("this needs Node.js 24");
  const unshare = ["env", "unshare", "--net", "--mount", "--"];
  const program = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  process.execve("/usr/bin/env", [...unshare, ...program], { ...process.env, [mark]: "1" });
}

/** Addresses, routes, and what a host's resolver is told. */
function furnish(): void {
  const [no4, no6] = [unreachable.v4.replace(/\d+$/, "0/24"), unreachable.v6.replace(/::.*$/, "::/48")];
  const commands = [
    "link set lo up",
    // An interface as that of a host's own network, with nobody at the other end.
    "link add host0 type veth peer name host1",
    "link set host0 up",
    "link set host1 up",
    `addr add ${own.v4}/32 dev host0`,
    `addr add ${own.v6}/128 dev host0 nodad`,
    // No interface has them, but whoever sends to them finds them here.
    ...allAddresses.map((address) =>
      address.includes(":")
        ? `route add local ${address}/128 dev lo`
        : `route add local ${address}/32 dev lo src ${own.v4}`,
    ),
    // What is nobody's gets lost there.
    `route add 0.0.0.0/0 dev lo src ${own.v4}`,
    `route add ::/0 dev lo`,
    `route add unreachable ${no4}`,
    `route add unreachable ${no6}`,
  ];
  execFileSync("ip", ["-batch", "-"], { input: commands.join("\n") });
  // A server may bind to an address that is nobody's.
  writeFileSync("/proc/sys/net/ipv6/ip_nonlocal_bind", "1");
  // Whoever runs a sandbox may ping without privileges, as on most systems.
  writeFileSync("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
  const directory = mkdtempSync(join(tmpdir(), "msb-internet-"));
  try {
    const file = join(directory, "resolv.conf");
    writeFileSync(file, `nameserver ${places.resolver4}\n`);
    execFileSync("mount", ["--bind", file, "/etc/resolv.conf"]);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

if (process.env[mark] === undefined) enter();
furnish();
