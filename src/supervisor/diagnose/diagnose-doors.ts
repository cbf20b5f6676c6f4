import { execFile } from "node:child_process";
import { access, constants, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { MicrosandboxError } from "../../errors/index.ts";
import { dashboardDirectory, dashboardProgram, mcpProgram } from "../../host/package-files.ts";
import { errorCode } from "../../host/system-error.ts";
import { authorizedKeysPath, readAuthorizedKeys } from "../../ssh/keys/authorized-keys.ts";
import { hostKeyPath, readHostKey } from "../../ssh/keys/host-key.ts";
import type { Home } from "../../store/home.ts";
import { hasEnded, readJobRecords } from "../../store/jobs/job-record.ts";
import { listSandboxes } from "../../store/list-sandboxes.ts";
import type { FoundSandbox } from "../../store/sandboxes.ts";
import type { Finding } from "./finding.ts";

type Told = Omit<Finding, "name">;

/** The ways in besides a call of the library: jobs, events, SSH, MCP and the dashboard. Sandboxes run without any of them. */
export async function inspectDoors(home: Home, agentPath: string | null): Promise<Finding[]> {
  const sandboxes = await listSandboxes(home).catch(() => []);
  const doors: [name: string, look: () => Promise<Told>][] = [
    ["jobs", () => inspectJobs(sandboxes)],
    ["events", () => inspectEvents(agentPath)],
    ["ssh", () => inspectSsh(home, sandboxes)],
    ["mcp", () => inspectMcp()],
    ["dashboard", () => inspectDashboard()],
  ];
  return await Promise.all(
    doors.map(async ([name, look]) => ({
      name,
      ...(await look().catch((error: unknown) => warning(error))),
    })),
  );
}

function warning(error: unknown): Told {
  return {
    status: "warning",
    detail: error instanceof Error ? error.message : String(error),
    fix:
      error instanceof MicrosandboxError ? error.hint : "Install microsandbox again: its files are damaged.",
  };
}

async function inspectJobs(sandboxes: readonly FoundSandbox[]): Promise<Told> {
  const jobs = (await Promise.all(sandboxes.map(({ paths }) => readJobRecords(paths.jobs)))).flat();
  if (jobs.length === 0) return { status: "info", detail: "none", fix: "" };
  const running = jobs.filter((job) => !hasEnded(job)).length;
  const lost = jobs.filter(({ state }) => state === "lost").length;
  const detail = `${String(running)} running, ${String(jobs.length - running)} ended, of ${String(lost)} is not known how`;
  return { status: "ok", detail, fix: "" };
}

/** As the agent names its program for guests. */
const emitter = "/.msb/bin/msb-emit";

async function inspectEvents(agentPath: string | null): Promise<Told> {
  if (agentPath === null)
    return { status: "warning", detail: "there is no agent", fix: "See the row of the agent." };
  if ((await readFile(agentPath)).includes(emitter))
    return { status: "ok", detail: `guests have ${emitter}`, fix: "" };
  return {
    status: "warning",
    detail: `the agent ${agentPath} is of a version without ${emitter}`,
    fix: 'Build it again ("npm run build").',
  };
}

async function inspectSsh(home: Home, sandboxes: readonly FoundSandbox[]): Promise<Told> {
  // Both look whether others can read or change the file.
  const keys = await readAuthorizedKeys(authorizedKeysPath(home.root));
  const hostKeys = sandboxes.map(({ paths }) => hostKeyPath(paths.directory));
  const known = await Promise.all(hostKeys.map(readIfThere));
  const ours = `${count(known.filter(Boolean).length, "host key")}, ${count(keys.length, "authorized key")}`;
  const client = await sshClient();
  if (client !== null) return { status: "ok", detail: `${client}; ${ours}`, fix: "" };
  return {
    status: "info",
    detail: `no ssh program here, which "msb ssh" does without, and scp, rsync and editors do not; ${ours}`,
    fix: "Install OpenSSH's client.",
  };
}

function count(number: number, what: string): string {
  return `${String(number)} ${what}${number === 1 ? "" : "s"}`;
}

/** @returns false when there is none: reading makes one */
async function readIfThere(path: string): Promise<boolean> {
  try {
    await access(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
  }
  await readHostKey(path);
  return true;
}

/** Such as `OpenSSH_9.2p1 Debian-2`; null when there is none. */
async function sshClient(): Promise<string | null> {
  try {
    const { stderr } = await promisify(execFile)("ssh", ["-V"], { timeout: 10_000 });
    return stderr.split(",")[0]?.trim() ?? null;
  } catch {
    return null;
  }
}

async function inspectMcp(): Promise<Told> {
  const path = mcpProgram();
  await access(path, constants.R_OK);
  return { status: "ok", detail: path, fix: "" };
}

/** What the page is made of. */
const pageFiles = ["index.html", "app.js", "app.css", "icon.svg"];

async function inspectDashboard(): Promise<Told> {
  const directory = dashboardDirectory();
  const needed = [dashboardProgram(), ...pageFiles.map((name) => join(directory, name))];
  await Promise.all(needed.map((path) => access(path, constants.R_OK)));
  return { status: "ok", detail: directory, fix: "" };
}
