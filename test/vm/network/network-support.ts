import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after } from "node:test";
import { promisify } from "node:util";
import { imageName, installImage } from "../../internet/debian-tree.ts";
import { Internet, type InternetOptions } from "../../internet/internet.ts";
import { Sandbox, type SandboxBuilder } from "../../../src/index.ts";
import { processOf } from "../lifecycle-support.ts";
import { useTemporaryHome } from "../support.ts";

/** A Debian on the internet. Templates are shared by what is the same shape, so all are. */
export function onTheInternet(name: string): SandboxBuilder {
  return Sandbox.builder(name).image(imageName).memory(512).cpus(1);
}

/** A home with the image, and an internet around it, for one file of tests: called outside of tests and hooks. */
export async function useInternet(
  options: InternetOptions = {},
): Promise<{ readonly home: string; readonly internet: Internet }> {
  const home = useTemporaryHome();
  const internet = await Internet.start(options);
  after(() => internet[Symbol.asyncDispose]());
  await installImage(home);
  return { home, internet };
}

/** Puts programs of `guest/` into a sandbox's /tmp, and the certificate of the internet's CA. */
export async function furnish(
  sandbox: Sandbox,
  internet: Internet,
  ...programs: readonly string[]
): Promise<void> {
  await sandbox.fs().write("/tmp/ca.pem", internet.certificates.caPem);
  for (const name of programs)
    await sandbox.fs().write(`/tmp/${name}`, readFileSync(join(import.meta.dirname, "guest", name)));
}

/** What a script prints, whatever it ends with. */
export async function said(sandbox: Sandbox, script: string): Promise<string> {
  return (await sandbox.shell(script)).stdout().trimEnd();
}

/** Runs a script that must succeed. @returns what it prints */
export async function succeeds(sandbox: Sandbox, script: string): Promise<string> {
  const result = await sandbox.shell(script);
  if (result.code !== 0)
    throw new Error(`${script} ended with ${result.code}:\n${result.stdout()}${result.stderr()}`);
  return result.stdout().trimEnd();
}

export interface SupervisorUse {
  readonly memoryMib: number;
  readonly descriptors: number;
}

/** What a sandbox's supervisor holds. */
export async function supervisorUse(home: string, name: string): Promise<SupervisorUse> {
  const pid = await processOf(home, name, "supervisor");
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return { memoryMib: Number(kib) / 1024, descriptors: readdirSync(`/proc/${pid}/fd`).length };
}

/**
 * TCP sockets of this network that are neither listening nor over: local port, remote port and state as the kernel numbers them
 * (include/net/tcp_states.h).
 */
export function openSockets(): { readonly local: number; readonly remote: number; readonly state: number }[] {
  return ["tcp", "tcp6"].flatMap((table) =>
    readFileSync(`/proc/net/${table}`, "utf8")
      .trim()
      .split("\n")
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .map(([, local = "", remote = "", state = ""]) => ({
        local: Number.parseInt(local.split(":")[1] ?? "", 16),
        remote: Number.parseInt(remote.split(":")[1] ?? "", 16),
        state: Number.parseInt(state, 16),
      }))
      .filter(({ state }) => state !== 0x0a && state !== 0x06),
  );
}

/** Builds a static program with musl, whose resolver is another one than glibc's. */
export async function muslProgram(internet: Internet, source: string): Promise<Buffer> {
  const { root } = internet.tree;
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  const library = join(root, "usr/lib", `${machine}-linux-musl`);
  const program = join(root, "srv/probe");
  const object = (name: string): string => join(library, name);
  await promisify(execFile)("cc", [
    ...["-static", "-nostdinc", "-nostdlib", "-isystem", join(root, "usr/include", `${machine}-linux-musl`)],
    ...["-o", program, object("crt1.o"), object("crti.o"), source],
    ...["-Wl,--start-group", object("libc.a"), "-lgcc", "-Wl,--end-group", object("crtn.o")],
  ]);
  return readFileSync(program);
}
