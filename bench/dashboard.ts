import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { Sandbox } from "microsandbox";
import { WebSocket } from "ws";
import type { LiveAnswer, SandboxesNews } from "../src/dashboard/wire.ts";
import { cpuTimeMs } from "./processes.ts";
import type { Report } from "./report.ts";
import { discard } from "./starts.ts";
import { reasonAgainst, startAll } from "./templates-alive.ts";

const msb = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

/** Wanted of the dashboard's server while a page shows all sandboxes: at most so much of one processor, percent. */
const wantedPercent = 5;
/** Wanted of what the page is told: so many samples of each sandbox a second. Timers are a little late. */
const wantedUpdates = 0.9;
/** How long the page is there before anything is measured, ms: the server connects to every sandbox. */
const settlingMs = 10_000;

interface Watched {
  readonly percents: readonly number[];
  /** Samples that came, a second and sandbox. */
  readonly updates: number;
}

/** What the dashboard costs while somebody looks at many sandboxes that run, once a second each. */
export async function measureDashboard(report: Report, count: number, seconds: number): Promise<void> {
  const goals = {
    percent: `dashboard, ${count} sandboxes shown`,
    updates: `dashboard, ${count} sandboxes shown: told of each`,
  };
  const refusal = reasonAgainst(count);
  if (refusal !== null) {
    report.goal(goals.percent, "% of a core", wantedPercent, null, { note: refusal });
    report.goal(goals.updates, "a second", wantedUpdates, null, { atLeast: true, note: refusal });
    return;
  }
  const sandboxes: Sandbox[] = [];
  const server = spawn(process.execPath, [msb, "dashboard"], { stdio: ["ignore", "pipe", "ignore"] });
  try {
    const url = await addressOf(server);
    await startAll(sandboxes, count);
    const idle = await percents(server.pid, seconds);
    const watched = await watch(url, server.pid, count, seconds);
    report.section(`Dashboard, ${count} sandboxes that run`);
    report.figure("processor: its server, a page shows them all", "%", watched.percents);
    report.figure("processor: its server, no page", "%", idle);
    const mean = watched.percents.reduce((sum, each) => sum + each, 0) / watched.percents.length;
    report.goal(goals.percent, "% of a core", wantedPercent, mean);
    report.goal(goals.updates, "a second", wantedUpdates, watched.updates, { atLeast: true });
  } finally {
    server.kill();
    await Promise.all(sandboxes.map(discard));
  }
}

async function addressOf(server: ChildProcessByStdio<null, Readable, null>): Promise<URL> {
  server.stdout.setEncoding("utf8");
  const [printed] = (await once(server.stdout, "data")) as [string];
  return new URL(printed.trim());
}

/** A page's connection, without the page. */
async function watch(url: URL, pid: number | undefined, count: number, seconds: number): Promise<Watched> {
  const token = url.hash.replace("#token=", "");
  const socket = new WebSocket(`ws://${url.host}/live`, ["msb", `msb.token.${token}`], {
    origin: url.origin,
  });
  await once(socket, "open");
  let samples = 0;
  socket.on("message", (data: Buffer) => {
    const answer = JSON.parse(data.toString()) as LiveAnswer;
    if (!("news" in answer)) return;
    const news = answer.news as SandboxesNews;
    if (!news.all) for (const fresh of Object.values(news.samples)) samples += fresh.length;
  });
  socket.send(JSON.stringify({ watch: 1, topic: "sandboxes", args: {} }));
  await delay(settlingMs);
  samples = 0;
  const measured = await percents(pid, seconds);
  socket.terminate();
  return { percents: measured, updates: samples / seconds / count };
}

/** Of each second. */
async function percents(pid: number | undefined, seconds: number): Promise<number[]> {
  if (pid === undefined) throw new Error("the dashboard was not started");
  const found: number[] = [];
  let [at, before] = [performance.now(), await cpuTimeMs(pid)];
  for (let second = 0; second < seconds; second++) {
    await delay(1000);
    const [now, used] = [performance.now(), await cpuTimeMs(pid)];
    found.push((100 * (used - before)) / (now - at));
    [at, before] = [now, used];
  }
  return found;
}

async function delay(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
