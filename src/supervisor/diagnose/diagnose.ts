import { access, constants, mkdir, rmdir, statfs } from "node:fs/promises";
import { availableParallelism, freemem, totalmem } from "node:os";
import { MicrosandboxError } from "../../errors/index.ts";
import { embeddedRootFileSystem } from "../../image/embedded.ts";
import { findQemu, type QemuBinary } from "../../machine/qemu/qemu-binary.ts";
import { hostAccelerators } from "../../machine/accelerator/host-accelerators.ts";
import { measureTscKhz } from "../../machine/accelerator/tsc.ts";
import { rememberedVerdict } from "../../machine/accelerator/accelerator.ts";
import { resolveKernel } from "../../machine/kernel/kernel.ts";
import type { GuestKernel } from "../../machine/types.ts";
import { checkEnvironment } from "../../host/process/environment-settings.ts";
import { guestDirectory } from "../../host/package-files.ts";
import { prepareHome, type Home } from "../../store/home.ts";
import { readGlobalConfig } from "../../store/global-config.ts";
import { inspectCopies } from "./diagnose-copies.ts";
import { inspectDoors } from "./diagnose-doors.ts";
import { inspectNetwork } from "./diagnose-network.ts";
import { inspectTemplates } from "./diagnose-templates.ts";
import type { Finding } from "./finding.ts";
import { readLimit } from "../process-limits.ts";

const mib = 1024 * 1024;
const gib = 1024 * mib;
const lowDiskBytes = 2 * gib;
/** A sandbox takes some ten descriptors in its own processes; below this a program with many clients runs out. */
const lowOpenFiles = 1024;

/** Looks at everything on this host that a sandbox needs. Boots nothing. */
export async function diagnoseHost(home: Home): Promise<Finding[]> {
  const findings: Finding[] = [];
  const ok = (name: string, detail: string): void => {
    findings.push({ name, status: "ok", detail, fix: "" });
  };
  const check = async <T>(
    name: string,
    probe: () => Promise<T>,
    describe: (found: T) => string,
  ): Promise<T | null> => {
    try {
      const found = await probe();
      ok(name, describe(found));
      return found;
    } catch (error) {
      findings.push(problem(name, error));
      return null;
    }
  };

  try {
    checkEnvironment();
  } catch (error) {
    findings.push(problem("environment", error));
  }
  ok("node", `${process.version} (${process.execPath})`);
  await check(
    "home",
    () => inspectHome(home),
    () => home.root,
  );
  const config = await check(
    "config",
    () => readGlobalConfig(home),
    () => home.configFile,
  );
  const qemu = await check(
    "qemu",
    () => findQemu(),
    (found) => `${found.path}, version ${found.version}`,
  );
  const kernel = await check(
    "kernel",
    () => inspectKernel(home, config?.paths?.libkrunfw ?? null),
    (found) => `${found.vmlinux}${found.custom ? " (your own)" : ""}`,
  );
  await check(
    "image",
    () => embeddedRootFileSystem(),
    (found) => found.path,
  );
  if (kernel !== null) findings.push(await inspectAgent(kernel, home));
  if (qemu !== null && kernel !== null) findings.push(...(await inspectAccelerators(home, qemu, kernel)));
  if (config !== null) {
    try {
      findings.push({ name: "templates", ...(await inspectTemplates(home, config)) });
    } catch (error) {
      findings.push(problem("templates", error));
    }
  }
  findings.push(
    ...(await inspectNetwork(kernel?.agentPath ?? null)),
    ...(await inspectDoors(home, kernel?.agentPath ?? null)),
  );
  findings.push(
    ...(await inspectDisk(home)),
    ...(await inspectCopies(home)),
    await inspectOpenFiles(),
    inspectMemory(),
  );
  return findings;
}

function problem(name: string, error: unknown): Finding {
  return {
    name,
    status: "problem",
    detail: error instanceof Error ? error.message : String(error),
    fix: error instanceof MicrosandboxError ? error.hint : "",
  };
}

async function inspectHome(home: Home): Promise<void> {
  await prepareHome(home);
  const probe = `${home.cache}/.write-test-${process.pid}`;
  await mkdir(probe);
  await rmdir(probe);
}

function inspectKernel(home: Home, configured: string | null): Promise<GuestKernel> {
  const chosen = process.env["MSB_KERNEL"];
  return resolveKernel({
    path: chosen === undefined || chosen === "" ? configured : chosen,
    guestDirectory: guestDirectory(),
    stagingDirectory: home.cache,
  });
}

async function inspectAgent(kernel: GuestKernel, home: Home): Promise<Finding> {
  if (kernel.agentPath === null) {
    return {
      name: "agent",
      status: "problem",
      detail: "the guest files come without the agent",
      fix: 'Build them again ("npm run build").',
    };
  }
  await access(kernel.agentPath, constants.R_OK);
  const khz = await measureTscKhz(kernel, home.cache);
  return {
    name: "agent",
    status: "ok",
    detail:
      khz === null
        ? kernel.agentPath
        : `${kernel.agentPath}; time-stamp counter at ${(khz / 1000).toFixed(3)} MHz`,
    fix: "",
  };
}

async function inspectAccelerators(home: Home, qemu: QemuBinary, kernel: GuestKernel): Promise<Finding[]> {
  const findings: Finding[] = [];
  let hardware = false;
  for (const { accelerator, usable, detail, fix } of await hostAccelerators()) {
    const verdict = usable
      ? await rememberedVerdict({ cacheDirectory: home.cache }, qemu, kernel, accelerator)
      : null;
    const works = usable && verdict?.works !== false;
    const name = `accelerator ${accelerator}`;
    if (accelerator === "tcg") {
      findings.push({
        name,
        status: "info",
        detail: hardware ? "software emulation, as a fallback" : detail,
        fix: "",
      });
    } else if (works) {
      hardware = true;
      const tried =
        verdict === null
          ? "not tried yet: the first start finds out whether it works"
          : "a guest has booted with it";
      findings.push({ name, status: "ok", detail: `${detail}; ${tried}`, fix: "" });
    } else {
      const why = verdict === null ? detail : `${detail}, but does not work: ${verdict.reason}`;
      const advice =
        verdict === null ? fix : "Nothing to do here: sandboxes run in software emulation, which is slower.";
      findings.push({ name, status: "warning", detail: why, fix: advice });
    }
  }
  const forced = process.env["MSB_ACCEL"] ?? "";
  if (forced !== "" && forced !== "auto") {
    findings.push({ name: "accelerator", status: "info", detail: `MSB_ACCEL=${forced} decides`, fix: "" });
  }
  return findings;
}

async function inspectDisk(home: Home): Promise<Finding[]> {
  try {
    const { bavail, bsize } = await statfs(home.root);
    const free = bavail * bsize;
    const detail = `${(free / gib).toFixed(1)} GiB free in ${home.root}`;
    return free < lowDiskBytes
      ? [
          {
            name: "disk",
            status: "warning",
            detail,
            fix: "Free some space, or set MSB_HOME to a larger disk.",
          },
        ]
      : [{ name: "disk", status: "ok", detail, fix: "" }];
  } catch {
    // The home is reported as a problem already.
    return [];
  }
}

async function inspectOpenFiles(): Promise<Finding> {
  const limit = await readLimit("Max open files");
  const detail = limit === null ? "unknown" : `${limit} open files a process`;
  return limit !== null && limit < lowOpenFiles
    ? { name: "limits", status: "warning", detail, fix: `Raise the limit: ulimit -n ${lowOpenFiles}.` }
    : { name: "limits", status: limit === null ? "info" : "ok", detail, fix: "" };
}

function inspectMemory(): Finding {
  const detail = `${Math.round(freemem() / mib)} MiB free of ${Math.round(totalmem() / mib)} MiB, ${availableParallelism()} processors`;
  return { name: "memory", status: "info", detail, fix: "" };
}
