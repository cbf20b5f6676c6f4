import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { Duplex, Readable } from "node:stream";
import { test, type TestContext } from "node:test";
import { identifyProcess } from "../../host/process/process-identity.ts";
import { findLifeline, tieToParent, watcherFd, type Lifeline } from "./lifeline.ts";
import { findQemu } from "./qemu-binary.ts";

const timeout = 120_000;

/** Starts QEMU as a supervisor does, tells its pid, and then does nothing until it is killed. */
const parentProgram = `
  import { spawn } from "node:child_process";
  import { tieToParent } from ${JSON.stringify(import.meta.resolve("./lifeline.ts"))};
  const [lifeline, qemu] = JSON.parse(process.argv[1]);
  const [program, ...parameters] = tieToParent(lifeline, process.pid, [qemu, "-M", "none", "-S", "-nodefaults", "-display", "none"]);
  // Descriptor 7 is the test's; it closes when every process that has it is gone.
  const child = spawn(program, parameters, { stdio: ["ignore", "ignore", "inherit", "pipe", "pipe", "pipe", "pipe", 3] });
  process.stdout.write(child.pid + "\\n");
  setInterval(() => undefined, 1000);
`;

async function killParentOfQemu(t: TestContext, lifeline: Lifeline): Promise<void> {
  const qemu = await findQemu();
  const parent = spawn(
    process.execPath,
    ["--input-type=module", "-e", parentProgram, JSON.stringify([lifeline, qemu.path])],
    { stdio: ["ignore", "pipe", "inherit", "pipe"] },
  );
  const marker = parent.stdio[3];
  assert.ok(marker instanceof Duplex && parent.stdout instanceof Readable);
  marker.resume();
  let allGone = false;
  const gone = once(marker, "end").then(() => (allGone = true));
  const [line] = (await once(parent.stdout, "data")) as [Buffer];
  const pid = Number(line.toString());
  t.after(() => {
    parent.kill("SIGKILL");
    if (!allGone) process.kill(pid, "SIGKILL");
  });
  assert.notEqual(await identifyProcess(pid), null, "QEMU runs");
  assert.equal(allGone, false);
  parent.kill("SIGKILL");
  await gone;
  // A process that is ending closes its descriptors a moment before it counts as ended; one that goes on does not end here.
  while ((await identifyProcess(pid)) !== null);
}

test("QEMU dies with a parent that is killed: watcher", { timeout }, (t) =>
  killParentOfQemu(t, { kind: "watcher" }),
);

test("QEMU dies with a parent that is killed: this host's best way", { timeout }, async (t) => {
  await killParentOfQemu(t, await findLifeline());
});

test("a parent that died before the kernel was told is noticed", { timeout }, async (t) => {
  const lifeline = await findLifeline();
  if (lifeline.kind !== "pdeathsig") {
    t.skip("this host has no pdeathsig");
    return;
  }
  for (const [parentPid, expected] of [
    [process.pid, 0],
    [process.pid + 1_000_000, 125],
  ] as const) {
    const [program = "", ...parameters] = tieToParent(lifeline, parentPid, ["/bin/sh", "-c", "exit 0"]);
    const [code] = (await once(spawn(program, parameters), "exit")) as [number];
    assert.equal(code, expected);
  }
});

test("a released watcher leaves its process alone", { timeout }, async () => {
  const [program = "", ...parameters] = tieToParent({ kind: "watcher" }, process.pid, [
    "/bin/sh",
    "-c",
    "read line; exit 7",
  ]);
  const child = spawn(program, parameters, {
    stdio: ["pipe", "ignore", "inherit", "pipe", "pipe", "pipe", "pipe"],
  });
  const streams: readonly unknown[] = child.stdio;
  const watcher = streams[watcherFd];
  assert.ok(watcher instanceof Duplex && child.stdin !== null);
  watcher.resume();
  watcher.end("ended\n");
  // Only the watcher has the other end, so this is its own end.
  await once(watcher, "end");
  child.stdin.end("go on\n");
  assert.deepEqual(await once(child, "exit"), [7, null]);
});
