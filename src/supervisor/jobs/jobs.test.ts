import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { duplexPair } from "node:stream";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import {
  connect,
  control,
  exited,
  output,
  outputsEnded,
  request,
  started,
} from "../../../test/support/talking-guest.ts";
import { JobNotFoundError } from "../../errors/index.ts";
import { FrameKind } from "../../protocol/frame.ts";
import { INITIAL_CREDIT, MAX_DATA_PAYLOAD } from "../../protocol/generated/limits.ts";
import type { JobAccess, JobReportMessage, Message } from "../../protocol/generated/messages.ts";
import type { Stream } from "../../protocol/stream.ts";
import { Streams } from "../../protocol/streams.ts";
import { readJobRecords } from "../../store/jobs/job-record.ts";
import { ExecLog } from "../logs/exec-log.ts";
import { Session, type ClientStream } from "../services/session.ts";
import { JobBook } from "./job-book.ts";
import { Jobs } from "./jobs.ts";
import type { Job } from "./job.ts";

interface Attached {
  readonly stream: Stream;
  readonly reports: JobReportMessage[];
  readonly heard: string[];
}

interface Started {
  readonly jobs: Jobs;
  readonly job: Job;
  readonly book: JobBook;
  readonly log: ExecLog;
  readonly path: string;
  readonly told: readonly Message[];
  readonly say: (...frames: Buffer[]) => Promise<void>;
  readonly attach: (access: JobAccess) => Attached;
  readonly disconnect: () => void;
}

async function until(condition: () => boolean): Promise<void> {
  const giveUpAt = performance.now() + 10_000;
  while (!condition() && performance.now() < giveUpAt) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.ok(condition(), "it did not happen within 10 s");
}

/** A job that runs in a guest that says what it likes, and a client. */
async function start(t: TestContext, input: Buffer | null = null): Promise<Started> {
  const directory = await mkdtemp(join(tmpdir(), "jobs-"));
  const path = join(directory, "jobs.json");
  const [log, book] = await Promise.all([
    ExecLog.open(join(directory, "exec.log")),
    JobBook.open(path, () => undefined),
  ]);
  t.after(async () => {
    await Promise.all([log.close(), book.close()]);
    await rm(directory, { recursive: true, force: true });
  });
  const { socket, link, told } = await connect(t);
  const jobs = new Jobs({ name: "box", book, log });
  const nothing = (): void => undefined;
  const job = jobs.start(
    { ...request, type: "StartJob", timeoutMs: null, input },
    1,
    (client: ClientStream) =>
      new Session({
        ...{ id: 1, tty: false, printed: 0, log, client, activity: nothing, ended: nothing, over: nothing },
        begin: (sink) => link.exec(request, sink),
      }),
  );
  const say = (...frames: Buffer[]): Promise<void> =>
    new Promise((resolve) => socket.write(Buffer.concat(frames), () => resolve()));
  await until(() => told.some(({ type }) => type === "Exec"));
  await say(started);
  await job.started();
  const [near, far] = duplexPair();
  new Streams(
    near,
    { incoming: "client→supervisor" },
    {
      message: nothing,
      accept: (stream, opening) => {
        assert.ok(opening.type === "AttachJob");
        return jobs.attach(opening.id, opening.access, stream);
      },
      reason: () => new Error("closed"),
      closed: nothing,
    },
  );
  const client = new Streams(
    far,
    { incoming: "supervisor→client" },
    {
      message: nothing,
      accept: () => assert.fail("a supervisor opens no streams"),
      reason: () => new Error("closed"),
      closed: nothing,
    },
  );
  const attach = (access: JobAccess): Attached => {
    const reports: JobReportMessage[] = [];
    const heard: string[] = [];
    const stream = client.open(
      { type: "AttachJob", id: job.record.id, access },
      {
        message: (message) => {
          heard.push(message.type);
          if (message.type === "JobReport") reports.push(message);
        },
        data: nothing,
        lost: () => heard.push("lost"),
      },
    );
    return { stream, reports, heard };
  };
  return { jobs, job, book, log, path, told, say, attach, disconnect: () => far.destroy() };
}

const window = Array.from({ length: INITIAL_CREDIT / MAX_DATA_PAYLOAD }, () => output(MAX_DATA_PAYLOAD));
const credit = (told: readonly Message[]): number =>
  told.reduce((bytes, message) => bytes + (message.type === "Credit" ? message.bytes : 0), 0);

test("one who never asks for more holds no job up, and one who asks is told how far he may read", async (t) => {
  const { attach, say, told, job } = await start(t);
  const slow = attach("read");
  const quick = attach("write");
  await until(() => slow.reports.length === 1 && quick.reports.length === 1);
  for (let n = 1; n <= 4; n++) {
    await say(...window);
    await until(() => credit(told) === n * INITIAL_CREDIT);
    quick.stream.send({ type: "Next" });
    await until(() => quick.reports.length === n + 1);
  }
  assert.equal(slow.reports.length, 1);
  const printed = quick.reports.map((report) => report.printed);
  assert.deepEqual(
    printed,
    printed.toSorted((a, b) => a - b),
  );
  await say(exited, outputsEnded);
  await until(() => slow.heard.includes("Done") && quick.heard.includes("Done"));
  const last = slow.reports.at(-1);
  assert.deepEqual([last?.state, last?.code, last?.printed], ["exited", 0, 4 * INITIAL_CREDIT]);
  assert.equal(job.record.printed, 4 * INITIAL_CREDIT);
});

test("what is written waits for room in the job, whoever writes it, and its end comes after it", async (t) => {
  const { attach, told, say, jobs, job } = await start(t);
  const [first, second] = [attach("write"), attach("write")];
  const piece = Buffer.alloc(MAX_DATA_PAYLOAD, "a");
  for (const { stream } of [first, second]) {
    for (let sent = 0; sent < INITIAL_CREDIT; sent += piece.length) stream.sendData(FrameKind.data, piece);
    assert.equal(stream.credit, 0);
  }
  // The guest took one window: so much is granted to them again, together.
  await until(() => first.stream.credit + second.stream.credit === INITIAL_CREDIT);
  await until(() => first.reports.length === 1 && second.reports.length === 1);
  jobs.signal(job.record.id, 0);
  assert.ok(!told.some(({ type }) => type === "End"));
  await say(control(1, { type: "Credit", bytes: INITIAL_CREDIT }));
  await until(() => told.some(({ type }) => type === "End"));
  await until(() => first.stream.credit + second.stream.credit === 2 * INITIAL_CREDIT);
  // Nobody takes it any more, and nobody waits for that.
  for (let n = 0; n < 4; n++) first.stream.sendData(FrameKind.data, piece);
  await until(() => first.stream.credit === INITIAL_CREDIT);
});

test("a job outlives whoever is attached, and its end is on the disk before it is told", async (t) => {
  const { attach, say, disconnect, told, path, job, book } = await start(t, Buffer.from("given"));
  const waiter = attach("wait");
  await until(() => told.some(({ type }) => type === "End"));
  assert.deepEqual(waiter.heard, []);
  await say(exited, outputsEnded);
  await until(() => waiter.heard.includes("Done"));
  assert.deepEqual(waiter.heard, ["JobReport", "Done"]);
  assert.equal((await readJobRecords(path))[0]?.state, "exited");
  await job.settled;
  const late = attach("read");
  await until(() => late.heard.includes("Done"));
  assert.equal(late.reports[0]?.state, "exited");
  await book.saved();

  const other = await start(t);
  other.attach("write");
  other.disconnect();
  disconnect();
  await other.say(...window);
  await until(() => credit(other.told) === INITIAL_CREDIT);
  assert.ok(!other.told.some(({ type }) => type === "Signal"));
  assert.throws(() => other.jobs.signal("0badc0de", 9), JobNotFoundError);
});

test("who comes between an end and its writing is told once it is written", async (t) => {
  const { attach, say, job, book } = await start(t);
  const written = Promise.withResolvers<void>();
  t.mock.method(book, "saved", () => written.promise);
  await say(exited);
  await until(() => job.record.state === "exited");
  const late = (["wait", "read"] as const).map((access) => attach(access));
  await new Promise((resolve) => setTimeout(resolve, 100));
  const early = late.flatMap(({ heard }) => heard);
  written.resolve();
  assert.deepEqual(early, []);
  await until(() => late.every(({ heard }) => heard.length === 2));
  for (const { heard, reports } of late) {
    assert.deepEqual(heard, ["JobReport", "Done"]);
    assert.equal(reports[0]?.state, "exited");
  }
});

test("a guest that lets a job go without a word has lost it", async (t) => {
  const { attach, say, job, path, jobs } = await start(t);
  const { reports, heard } = attach("read");
  await say(control(1, { type: "Failure", code: "runtime", message: "no more", hint: "", details: "" }));
  await until(() => heard.includes("Done"));
  assert.equal(reports.at(-1)?.state, "lost");
  await job.settled;
  await jobs.ended();
  assert.match((await readJobRecords(path))[0]?.lost ?? "", /no more/);
});

test("who is attached is told of no more output than can be read", async (t) => {
  const { attach, log } = await start(t);
  for (let i = 0; i < 60; i++) log.write("stdout", Buffer.alloc(50_000, "x"), 1, i * 50_000);
  assert.ok(log.pending);
  const { reports } = attach("read");
  let wasPending = true;
  const logged = log.flush().then(() => (wasPending = false));
  await until(() => reports.length > 0);
  assert.equal(wasPending, false, "it was told before the output was in the log");
  await logged;
});
