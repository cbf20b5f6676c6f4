import { spawn } from "node:child_process";
import { once } from "node:events";

/** Where programs run whose network is measured. */
export interface Caller {
  /** Where it finds the host's loopback: an IPv4 address. */
  readonly host: string;
  /** Path of `probe.rs`. */
  readonly probe: string;
  /** Runs a script of the shell. @returns what it prints */
  output(script: string): Promise<string>;
}

/** The ports of those who answer on the host's loopback. */
export interface Servers extends Disposable {
  readonly iperf: number;
  readonly echo: number;
}

/** @param probe the program that answers requests */
export async function startServers(probe: string, iperfPort: number): Promise<Servers> {
  const words = ["-s", "-p", String(iperfPort), "-B", "127.0.0.1"];
  const iperf = spawn("iperf3", words, { stdio: "ignore" });
  const echo = spawn(probe, ["echo"], { stdio: ["ignore", "pipe", "inherit"] });
  const [port] = (await once(echo.stdout, "data")) as [Buffer];
  return {
    iperf: iperfPort,
    echo: Number(port.toString()),
    [Symbol.dispose]() {
      iperf.kill("SIGKILL");
      echo.kill("SIGKILL");
    },
  };
}
