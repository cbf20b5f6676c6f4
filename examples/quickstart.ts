/**
 * A real virtual machine from a few lines of TypeScript: boots the embedded image, looks around in it, runs a program,
 * stops it. `npm run quickstart` runs this after the set-up.
 */
import { hostname, release } from "node:os";
import { MicrosandboxError, Sandbox } from "microsandbox";

const timings: [what: string, ms: number][] = [];

/** Runs `action` and notes how long it took. */
async function timed<T>(what: string, action: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await action();
  timings.push([what, performance.now() - start]);
  return result;
}

function show(what: string, value: string): void {
  console.log(`  ${what.padEnd(16)}${value.trim()}`);
}

/** What the stages of a start are, in words. */
const stageNames: Readonly<Record<string, string>> = {
  prepare: "prepare the disks",
  boot: "boot the kernel",
  guest: "mount the root",
  restore: "copy the template",
};

/** Boots the sandbox, and notes how long each stage of that took. */
async function boot(): Promise<Sandbox> {
  const start = performance.now();
  const stages: [name: string, at: number][] = [["start its process", start]];
  const sandbox = await Sandbox.builder("quickstart")
    .image("localhost/base")
    .cpus(1)
    .memory(512)
    .replace()
    .onProgress(({ stage }) => {
      const name = stageNames[stage] ?? stage;
      // Where hardware acceleration turns out not to work, the kernel is booted once more.
      if (stages.at(-1)?.[0] !== name) stages.push([name, performance.now()]);
    })
    .onNotice((message) => console.log(`  note            ${message}\n`))
    .create();
  const ready = performance.now();
  timings.push(["create: call to ready", ready - start]);
  for (const [index, [name, at]] of stages.entries()) {
    timings.push([`  ${name}`, (stages[index + 1]?.[1] ?? ready) - at]);
  }
  return sandbox;
}

/** The first sandbox of a shape leaves a template; every other one starts as a copy of it. */
async function startAgain(): Promise<void> {
  await using sandbox = await timed("create another", () =>
    Sandbox.builder("quickstart-2").image("localhost/base").memory(512).ephemeral(true).replace().create(),
  );
  const uptime = await timed("its first command", () => sandbox.exec("cat", ["/proc/uptime"]));
  show("another one", `its kernel has been up for ${uptime.stdout().split(" ")[0] ?? "?"} s`);
}

async function main(): Promise<void> {
  console.log(`\nBooting a virtual machine from localhost/base on ${hostname()} (kernel ${release()}) …\n`);
  const sandbox = await boot();
  try {
    const kernel = await timed("first command", () => sandbox.exec("uname", ["-srm"]));
    show("kernel", kernel.stdout());
    show("hostname", (await sandbox.exec("hostname")).stdout());
    show("cpus", (await sandbox.exec("nproc")).stdout());
    show(
      "memory",
      (await sandbox.shell('free -m | awk \'/^Mem/ { print $2 " MiB, " $7 " MiB free" }\'')).stdout(),
    );
    show(
      "root",
      (await sandbox.shell("awk '$2 == \"/\" { print $1, $3 }' /proc/mounts | tail -n 1")).stdout(),
    );
    show("processes", (await sandbox.shell("ls /proc | grep -c '^[0-9]'")).stdout());
    const program = "i=0; sum=0; while [ $i -lt 1000 ]; do i=$((i + 1)); sum=$((sum + i)); done; echo $sum";
    const sum = await timed("a small program", () => sandbox.shell(program));
    show("1 + … + 1000 =", sum.stdout());
    const failed = await sandbox.exec("ls", ["/nowhere"]);
    show("ls /nowhere", `exit code ${failed.code}: ${failed.stderr()}`);
    await timed("an empty command", () => sandbox.exec("true"));
  } finally {
    await timed("stop: orderly", () => sandbox.stop());
  }
  await sandbox.removePersisted();
  await startAgain();

  console.log("\n  How long it took");
  for (const [what, ms] of timings)
    console.log(`  ${what.padEnd(24)}${Math.round(ms).toString().padStart(6)} ms`);
  console.log(
    "\nNext: `npm run --silent msb -- run localhost/base` for a shell in a machine of its own; README.md has more.",
  );
}

try {
  await main();
} catch (error) {
  if (!(error instanceof MicrosandboxError)) throw error;
  console.error(`\nquickstart failed: ${error.message}\n${error.hint}`);
  process.exitCode = 1;
}
