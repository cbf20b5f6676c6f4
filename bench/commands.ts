import type { Sandbox, ExecHandle } from "microsandbox";
import type { BareGuest } from "./bare-guest.ts";
import { readThroughSocketPair } from "./floor.ts";
import { processesOf, residentBytes } from "./processes.ts";
import type { Report } from "./report.ts";
import { timed } from "./statistics.ts";

const warmUps = 20;
/** Wanted of a warm command: at most so many times what it takes straight to an agent. */
const wantedOfBareAgent = 2;
/** Wanted of a supervisor through which a command prints as fast as it can. */
const wantedMemoryMb = 150;

/** Round trips, through the SDK and straight to an agent, taking turns so that both meet the same host. */
export async function measureRoundTrips(
  report: Report,
  sandbox: Sandbox,
  bare: BareGuest,
  runs: number,
): Promise<void> {
  for (let run = 0; run < warmUps; run++) {
    await sandbox.exec("true");
    await bare.exec(["true"]);
  }
  const execs: number[] = [];
  const bareExecs: number[] = [];
  const pings: number[] = [];
  const barePings: number[] = [];
  for (let run = 0; run < runs; run++) {
    execs.push(await timed(() => sandbox.exec("true")));
    bareExecs.push(await timed(() => bare.exec(["true"])));
    pings.push((await sandbox.ping()).latencyMs);
    barePings.push(await timed(() => bare.ping()));
  }
  report.section("Round trips, warm");
  const exec = report.figure("exec true", "ms", execs);
  const bareExec = report.figure("exec true, bare agent", "ms", bareExecs);
  const ping = report.figure("ping", "ms", pings);
  const barePing = report.figure("ping, bare agent", "ms", barePings);
  report.goal("exec: SDK / bare agent, p50", "×", wantedOfBareAgent, exec.p50 / bareExec.p50);
  report.ratio("ping: SDK / bare agent, p50", ping.p50 / barePing.p50);
}

/** Many commands at once; each must give its own answer. */
export async function measureConcurrency(report: Report, sandbox: Sandbox, count: number): Promise<void> {
  const elapsed = await timed(async () => {
    const outputs = await Promise.all(
      Array.from({ length: count }, (_, index) => sandbox.exec("echo", [String(index)])),
    );
    for (const [index, output] of outputs.entries()) {
      if (output.code !== 0 || output.stdout() !== `${index}\n`)
        throw new Error(`command ${index} went wrong`);
    }
  });
  report.section("Concurrency");
  report.figure(`${count} commands at once, all answered right`, "ms", [elapsed]);
}

/** Wanted of the streams of a command: at least so much of what a program in the guest makes of the port by itself. */
const wantedOfPort = 0.8;
/** And of what a program makes that copies between the port and a pipe: a command has pipes, and each costs a copy and a switch. */
const wantedOfPipe = 0.8;

/**
 * A command's standard output and input as fast as they go, against the bare agent, programs in the guest that have a port like the
 * agent's for themselves, with and without a pipe between them, and a local socket pair.
 */
export async function measureThroughput(
  report: Report,
  sandbox: Sandbox,
  bare: BareGuest,
  options: { readonly mebibytes: number; readonly runs: number },
): Promise<void> {
  const bytes = options.mebibytes * 1024 * 1024;
  const dd = ["if=/dev/zero", "bs=65536", `count=${bytes / 65536}`];
  const rate = (ms: number): number => bytes / 1e6 / (ms / 1000);
  const throughSdk: number[] = [];
  const throughBare: number[] = [];
  const throughPort: number[] = [];
  const throughPipe: number[] = [];
  const throughPair: number[] = [];
  const inThroughSdk: number[] = [];
  const inThroughPort: number[] = [];
  const inThroughPipe: number[] = [];
  const memory: number[] = [];
  for (let run = 0; run < options.runs; run++) {
    await using watch = await watchSupervisor(sandbox.name);
    throughSdk.push(rate(await timed(async () => drain(await sandbox.execStream("dd", dd), bytes))));
    if (watch !== null) memory.push(watch.highestBytes() / 1e6);
    throughBare.push(
      rate(
        await timed(async () => {
          const result = await bare.exec(["dd", ...dd]);
          if (result.bytes < bytes) throw new Error(`${result.bytes} of ${bytes} bytes arrived`);
        }),
      ),
    );
    throughPort.push(rate(await bare.readPort(bytes)));
    throughPipe.push(rate(await bare.readPort(bytes, { pipe: true })));
    throughPair.push(rate(await readThroughSocketPair(bytes)));
    inThroughSdk.push(rate(await timed(() => feed(sandbox, bytes))));
    inThroughPort.push(rate(await bare.writePort(bytes)));
    inThroughPipe.push(rate(await bare.writePort(bytes, { pipe: true })));
  }
  report.section(`stdout of dd, ${options.mebibytes} MiB`);
  const sdk = report.figure("execStream", "MB/s", throughSdk);
  const agent = report.figure("bare agent", "MB/s", throughBare);
  const port = report.figure("floor: dd to a port of its own", "MB/s", throughPort);
  const pipe = report.figure("floor: dd to a pipe, dd from there to the port", "MB/s", throughPipe);
  const pair = report.figure("floor: Node to Node over a socket pair", "MB/s", throughPair);
  if (memory.length > 0) {
    const highest = report.figure("memory: supervisor (RSS), highest", "MB", memory);
    report.goal("supervisor's resident memory while dd prints", "MB", wantedMemoryMb, highest.maximum);
  }
  report.ratio("bare agent / execStream, p50", agent.p50 / sdk.p50);
  report.goal("execStream / pipe and port, p50", "×", wantedOfPipe, sdk.p50 / pipe.p50, { atLeast: true });
  report.goal("execStream / port, p50", "×", wantedOfPort, sdk.p50 / port.p50, { atLeast: true });
  report.ratio("socket pair / execStream, p50", pair.p50 / sdk.p50);
  report.section(`stdin of dd, ${options.mebibytes} MiB`);
  const inSdk = report.figure("stdinPipe", "MB/s", inThroughSdk);
  const inPort = report.figure("floor: dd from a port of its own", "MB/s", inThroughPort);
  const inPipe = report.figure("floor: dd from the port to a pipe, dd from there", "MB/s", inThroughPipe);
  report.goal("stdinPipe / port and pipe, p50", "×", wantedOfPipe, inSdk.p50 / inPipe.p50, { atLeast: true });
  report.goal("stdinPipe / port, p50", "×", wantedOfPort, inSdk.p50 / inPort.p50, { atLeast: true });
}

/** Writes so many bytes to a command that reads them all. */
async function feed(sandbox: Sandbox, bytes: number): Promise<void> {
  const handle = await sandbox.execStreamWith("dd", (exec) =>
    exec.args(["of=/dev/null", "bs=65536"]).stdinPipe(),
  );
  const stdin = handle.takeStdin();
  if (stdin === null) throw new Error("the command has no standard input");
  const chunk = Buffer.alloc(65536);
  for (let sent = 0; sent < bytes; sent += chunk.length) await stdin.write(chunk);
  await stdin.close();
  const { code } = await handle.wait();
  if (code !== 0) throw new Error(`dd ended with ${code}`);
}

async function drain(handle: ExecHandle, bytes: number): Promise<void> {
  let received = 0;
  for await (const event of handle) if (event.kind === "stdout") received += event.data.length;
  if (received !== bytes) throw new Error(`${received} of ${bytes} bytes arrived`);
}

interface MemoryWatch extends AsyncDisposable {
  highestBytes(): number;
}

/** Looks at the supervisor's memory every 20 ms. null where there is no /proc. */
async function watchSupervisor(name: string): Promise<MemoryWatch | null> {
  if (process.platform !== "linux") return null;
  const { supervisor } = await processesOf(name);
  let highest = await residentBytes(supervisor);
  let looking: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    looking = residentBytes(supervisor).then((bytes) => {
      highest = Math.max(highest, bytes);
    });
  }, 20);
  return {
    highestBytes: () => highest,
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      await looking;
    },
  };
}
