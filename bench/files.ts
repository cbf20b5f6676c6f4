import type { Sandbox } from "microsandbox";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BareGuest } from "./bare-guest.ts";
import { processesOf, runProgram, watchMemory } from "./processes.ts";
import type { Report } from "./report.ts";
import { timed } from "./statistics.ts";

const msb = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const smallBytes = 4096;
/** Wanted of a copy: at least so much of what a program in the guest makes of a port and a file by itself. */
const wantedOfPort = 0.8;
/** Wanted of the supervisor, and of msb, whatever is copied, MB. */
const wantedMemoryMb = 100;
/** Wanted of a small file that is read: at most so many pings. */
const wantedOfPing = 3;

/** What is copied, and where it lies on this computer and in the guest. */
interface Load {
  readonly title: string;
  readonly host: string;
  readonly bytes: number;
  /** Of many files: what is compared with makes and reads files too. */
  readonly isTree: boolean;
}

/**
 * Copies by `msb cp`, in and out, beside a program in a guest without a supervisor that moves as many bytes between a file and a port
 * like the agent's (of many files: that is tar), and beside tar through exec. They take turns.
 */
export async function measureFiles(
  report: Report,
  sandbox: Sandbox,
  bare: BareGuest,
  options: { readonly large: number; readonly small: number; readonly rounds: number },
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "msb-bench-files-"));
  try {
    for (const load of await loads(directory, options)) {
      await measureLoad(report, sandbox, bare, load, directory, options.rounds);
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  await measureSmallReads(report, sandbox);
}

async function loads(directory: string, { large, small }: { large: number; small: number }): Promise<Load[]> {
  const one = join(directory, "large");
  await mkdir(one);
  await using file = await open(join(one, "file"), "wx");
  for (let written = 0; written < large; written++) await file.write(randomBytes(1 << 20));
  const many = join(directory, "small");
  for (let index = 0; index < small; index++) {
    const below = join(many, String(Math.floor(index / 100)));
    if (index % 100 === 0) await mkdir(below, { recursive: true });
    await writeFile(join(below, String(index)), randomBytes(smallBytes));
  }
  return [
    { title: `one file of ${large} MiB`, host: one, bytes: large * 2 ** 20, isTree: false },
    { title: `${small} files of 4 KiB`, host: many, bytes: small * smallBytes, isTree: true },
  ];
}

async function measureLoad(
  report: Report,
  sandbox: Sandbox,
  bare: BareGuest,
  { title, host, bytes, isTree }: Load,
  directory: string,
  rounds: number,
): Promise<void> {
  const whole = Math.ceil(bytes / 65536) * 65536;
  const rate = (ms: number): number => bytes / 1e3 / ms;
  const names = ["in", "inPort", "inTar", "out", "outPort", "outTar", "supervisor", "msb"] as const;
  const samples = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<
    (typeof names)[number],
    number[]
  >;
  const { supervisor } = await processesOf(sandbox.name);
  const clear = async (): Promise<void> => {
    await run(sandbox, "rm -rf /srv/*; sync; echo 3 > /proc/sys/vm/drop_caches");
    await rm(join(directory, "back"), { recursive: true, force: true });
  };
  for (let round = 0; round < rounds; round++) {
    const back = join(directory, "back");
    await clear();
    {
      await using watch = await watchMemory(supervisor);
      samples.in.push(rate(await copy([`${host}/.`, `${sandbox.name}:/srv/load`], samples.msb)));
      samples.inPort.push(
        rate(isTree ? await treeIntoPort(bare, host) : await bare.writePort(whole, "/load")),
      );
      samples.out.push(rate(await copy([`${sandbox.name}:/srv/load`, back], samples.msb)));
      samples.outPort.push(rate(isTree ? await treeOutOfPort(bare) : await bare.readPort(whole, "/load")));
      samples.supervisor.push(watch.highestBytes() / 1e6);
    }
    await runProgram("diff", ["-r", host, back]);
    await clear();
    await Promise.all([run(sandbox, "mkdir /srv/load"), mkdir(back)]);
    samples.inTar.push(rate(await timed(() => tarIn(sandbox, host))));
    samples.outTar.push(rate(await timed(() => tarOut(sandbox, back))));
  }
  await clear();
  for (const [way, of, port, tar] of [
    ["into the sandbox", "in", "inPort", "inTar"],
    ["out of it", "out", "outPort", "outTar"],
  ] as const) {
    report.section(`${title}, ${way}`);
    const copied = report.figure("msb cp", "MB/s", samples[of]);
    const program = isTree ? "tar between files" : "dd between a file";
    const floor = report.figure(`floor: ${program} and a port of its own`, "MB/s", samples[port]);
    const piped = report.figure("tar through exec", "MB/s", samples[tar]);
    const goal = `${title}, ${way}`;
    report.goal(`${goal}: msb cp / port`, "×", wantedOfPort, copied.p50 / floor.p50, { atLeast: true });
    report.goal(`${goal}: msb cp / tar`, "×", 1, copied.p50 / piped.p50, { atLeast: true });
  }
  const atSupervisor = report.figure("memory: supervisor, highest", "MB", samples.supervisor);
  const atMsb = report.figure("memory: msb cp, highest", "MB", samples.msb);
  report.goal(`${title}: memory of the supervisor`, "MB", wantedMemoryMb, atSupervisor.maximum);
  report.goal(`${title}: memory of msb cp`, "MB", wantedMemoryMb, atMsb.maximum);
}

/** An archive of the tree, unpacked by a program that has the port for itself. */
async function treeIntoPort(bare: BareGuest, host: string): Promise<number> {
  const archive = async (): Promise<Buffer[]> => {
    const child = spawn("tar", ["c", "-C", host, "."], { stdio: ["ignore", "pipe", "inherit"] });
    const chunks: Buffer[] = [];
    for await (const chunk of child.stdout) chunks.push(chunk as Buffer);
    return chunks;
  };
  const chunks = await archive();
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  await bare.exec(["sh", "-c", "rm -rf /load; mkdir /load"]);
  return await bare.writePortOf(chunks, `head -c ${bytes} $port | tar x -C /load`);
}

async function treeOutOfPort(bare: BareGuest): Promise<number> {
  const bytes = await bare.number("tar c -C /load . | wc -c");
  return await bare.readPortOf(bytes, "tar c -C /load . > $port");
}

async function run(sandbox: Sandbox, script: string): Promise<void> {
  const output = await sandbox.shell(script);
  if (output.code !== 0) throw new Error(`${script} ended with ${output.code}: ${output.stderr()}`);
}

/** @param memory where msb's own goes, MB. @returns ms, msb's start included */
async function copy(operands: readonly string[], memory: number[]): Promise<number> {
  const begun = performance.now();
  const child = spawn(process.execPath, [msb, "cp", "-q", ...operands], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  await using watch = await watchMemory(child.pid ?? 0);
  const [code] = (await once(child, "exit")) as [number | null];
  const elapsed = performance.now() - begun;
  if (code !== 0) throw new Error(`msb cp ended with ${String(code)}`);
  memory.push(watch.highestBytes() / 1e6);
  return elapsed;
}

async function tarIn(sandbox: Sandbox, from: string): Promise<void> {
  const child = spawn("tar", ["c", "-C", from, "."], { stdio: ["ignore", "pipe", "inherit"] });
  const handle = await sandbox.execStreamWith("tar", (exec) =>
    exec.args(["x", "-C", "/srv/load"]).stdinPipe(),
  );
  const stdin = handle.takeStdin();
  if (stdin === null) throw new Error("tar has no standard input");
  for await (const chunk of child.stdout) await stdin.write(chunk as Buffer);
  await stdin.close();
  const { code } = await handle.wait();
  if (code !== 0) throw new Error(`tar in the guest ended with ${code}`);
}

async function tarOut(sandbox: Sandbox, to: string): Promise<void> {
  const child = spawn("tar", ["x", "-C", to], { stdio: ["pipe", "inherit", "inherit"] });
  const exited = once(child, "exit");
  const handle = await sandbox.execStream("tar", ["c", "-C", "/srv/load", "."]);
  for await (const event of handle) {
    if (event.kind === "stdout" && !child.stdin.write(event.data)) await once(child.stdin, "drain");
  }
  child.stdin.end();
  const [code] = (await exited) as [number | null];
  if (code !== 0) throw new Error(`tar ended with ${String(code)}`);
}

async function measureSmallReads(report: Report, sandbox: Sandbox): Promise<void> {
  const fs = sandbox.fs();
  await fs.write("/tmp/small", "small\n");
  const reads: number[] = [];
  const pings: number[] = [];
  for (let round = -20; round < 200; round++) {
    const read = await timed(() => fs.readToString("/tmp/small"));
    const { latencyMs } = await sandbox.ping();
    if (round < 0) continue;
    reads.push(read);
    pings.push(latencyMs);
  }
  report.section("A small file, read");
  const read = report.figure("readToString", "ms", reads);
  const ping = report.figure("ping", "ms", pings);
  report.goal("readToString / ping, p50", "×", wantedOfPing, read.p50 / ping.p50);
}
