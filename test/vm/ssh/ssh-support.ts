import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../../guest/tools.ts";
import type { Sandbox, SshServer, SshServerOptions } from "../../../src/index.ts";
import { authorize } from "../../../src/api/ssh/msb-ssh.ts";

/** What a program of the host has said. */
export interface Said {
  /** null: a signal has ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A port on which a sandbox is served, and clients that have a key for it. */
export class SshPort {
  readonly server: SshServer;
  readonly port: number;
  readonly key: string;

  private constructor(server: SshServer, port: number, key: string) {
    this.server = server;
    this.port = port;
    this.key = key;
  }

  static async open(sandbox: Sandbox, options: SshServerOptions = {}): Promise<SshPort> {
    const key = await newClientKey();
    await authorize(readFileSync(`${key}.pub`, "utf8"));
    const server = await sandbox.ssh().prepareServer(options);
    const { port } = await server.listen({ port: 0 });
    return new SshPort(server, port, key);
  }

  /** Options of ssh, scp and sftp; the port is -p for one and -P for the others. */
  get options(): string[] {
    return clientOptions(this.key);
  }

  /** Runs a program that reaches the guest by these words. */
  async ssh(args: readonly string[], input = "", user = "root"): Promise<Said> {
    return await runHost(
      "ssh",
      [...this.options, "-p", String(this.port), `${user}@127.0.0.1`, ...args],
      input,
    );
  }

  /** The command that rsync, git and Ansible are told to use. */
  get command(): string {
    return ["ssh", ...this.options, "-p", String(this.port)].join(" ");
  }
}

/** Of ssh, scp and sftp: this key, and no other files. */
export function clientOptions(key: string): string[] {
  return ["-i", key, ...trusting];
}

const trusting = [
  ...["-F", "/dev/null", "-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR"],
  ...["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"],
];

/** @returns the path of a private key; the public one is beside it, with .pub at its end */
export async function newClientKey(): Promise<string> {
  const key = join(mkdtempSync(join(tmpdir(), "msb-key-")), "key");
  await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key]);
  return key;
}

/** Runs a program of the host to its end. */
export async function runHost(
  program: string,
  args: readonly string[],
  input = "",
  env: NodeJS.ProcessEnv = {},
): Promise<Said> {
  const child = spawn(program, args, { env: { ...process.env, ...env } });
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (text: string) => (output[name] += text));
  child.stdin.on("error", () => undefined).end(input);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject).on("close", resolve);
  });
  return { code, ...output };
}
