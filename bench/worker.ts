/** Measures; started by `main.ts`, which clears up afterwards. */
import { Sandbox } from "microsandbox";
import { findQemu } from "../src/machine/qemu/qemu-binary.ts";
import { isAccelerator } from "./accelerator.ts";
import { BareGuest } from "./bare-guest.ts";
import { measureCommandLine } from "./command-line.ts";
import { measureConcurrency, measureRoundTrips, measureThroughput } from "./commands.ts";
import { measureDashboard } from "./dashboard.ts";
import { measureFiles } from "./files.ts";
import { measureForks } from "./forks.ts";
import { measureImages } from "./image.ts";
import { measureLifecycle } from "./lifecycle.ts";
import { measureMounts } from "./mounts.ts";
import { measureNetwork } from "./network.ts";
import { parseOptions, type Counts, type PartName } from "./options.ts";
import { Report } from "./report.ts";
import { measureTemplates } from "./templates.ts";
import { measureTls } from "./tls.ts";

/** MiB of the guests that are compared with one that has no supervisor. */
const memoryMib = 512;

type Part = (report: Report, counts: Counts) => Promise<void>;

const parts: Readonly<Record<PartName, Part>> = {
  "start-stop": (report, { runs }) => measureLifecycle(report, runs),
  commands: measureCommands,
  "command-line": (report, { runs }) => measureCommandLine(report, runs * 4),
  files: measureFilesPart,
  mounts: measureMountsPart,
  network: measureNetworkPart,
  tls: (report, { runs, ...counts }) =>
    measureTls(report, { ...counts, rounds: Math.max(1, Math.ceil(runs / 3)) }),
  images: (report, { runs }) => measureImages(report, Math.max(1, Math.ceil(runs / 2))),
  templates: measureTemplates,
  fork: measureForks,
  dashboard: (report, { alive, seconds }) => measureDashboard(report, alive, seconds * 7),
};

async function measureCommands(report: Report, { runs, mebibytes }: Counts): Promise<void> {
  await using sandbox = await Sandbox.builder("bench").image("localhost/base").memory(memoryMib).create();
  const { accelerator } = await Sandbox.get("bench");
  if (!isAccelerator(accelerator)) throw new Error(`unknown accelerator ${String(accelerator)}`);
  {
    await using bare = await BareGuest.boot(accelerator, memoryMib);
    await measureRoundTrips(report, sandbox, bare, runs * 40);
    await measureThroughput(report, sandbox, bare, { mebibytes, runs: Math.max(1, Math.ceil(runs / 2)) });
  }
  await measureConcurrency(report, sandbox, 200);
}

async function measureFilesPart(report: Report, { runs, large, small }: Counts): Promise<void> {
  await using sandbox = await Sandbox.builder("bench").image("localhost/base").memory(memoryMib).create();
  const { accelerator } = await Sandbox.get("bench");
  if (!isAccelerator(accelerator)) throw new Error(`unknown accelerator ${String(accelerator)}`);
  await using bare = await BareGuest.boot(accelerator, memoryMib);
  await measureFiles(report, sandbox, bare, { large, small, rounds: Math.max(1, Math.ceil(runs / 4)) });
}

async function measureMountsPart(
  report: Report,
  { runs, mebibytes, tracked, starts }: Counts,
): Promise<void> {
  const { accelerator } = facts;
  if (!isAccelerator(accelerator)) throw new Error(`unknown accelerator ${accelerator}`);
  await using bare = await BareGuest.boot(accelerator, memoryMib);
  await measureMounts(report, bare, { mebibytes, tracked, starts, rounds: Math.max(1, Math.ceil(runs / 2)) });
}

async function measureNetworkPart(report: Report, { runs, seconds, starts }: Counts): Promise<void> {
  const { accelerator } = facts;
  if (!isAccelerator(accelerator)) throw new Error(`unknown accelerator ${accelerator}`);
  await measureNetwork(report, accelerator, { seconds, starts, rounds: Math.max(1, Math.ceil(runs / 3)) });
}

/** What all figures depend on besides the host. */
async function findFacts(): Promise<Record<"accelerator" | "qemu" | "guestKernel", string>> {
  await using sandbox = await Sandbox.builder("facts").image("localhost/base").create();
  const { accelerator } = await Sandbox.get("facts");
  const guestKernel = (await sandbox.exec("uname", ["-r"])).stdout().trim();
  return { accelerator: String(accelerator), qemu: (await findQemu()).version, guestKernel };
}

const options = parseOptions(process.argv.slice(2));
const report = new Report();
// Without whoever clears up nothing should go on. Sandboxes end with the process that owns them.
process.on("disconnect", () => process.exit(1));
process.channel?.unref();

// Boots, whatever the parts ask for: what is measured of commands does not depend on how a guest was started.
process.env["MSB_TEMPLATES"] = "off";
const facts = await findFacts();
for (const name of options.parts) {
  process.env["MSB_TEMPLATES"] = ["templates", "mounts", "network", "fork", "dashboard"].includes(name)
    ? "on"
    : "off";
  try {
    await parts[name](report, options.counts);
  } catch (error) {
    report.failure(name, error);
  }
}
report.goals();
const path = report.write({ ...facts, counts: { ...options.counts } });
const { accelerator, qemu, guestKernel } = facts;
console.log(`\n${accelerator}, QEMU ${qemu}, guest kernel ${guestKernel}; samples in ${path}`);
process.exit(report.failed ? 1 : 0);
