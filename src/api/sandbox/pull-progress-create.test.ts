import assert from "node:assert/strict";
import { test } from "node:test";
import { CustomError, OperationTimeoutError } from "../../errors/index.ts";
import type { PullProgress } from "./progress.ts";
import { PullProgressCreate, PullProgressStream } from "./pull-progress-create.ts";
import type { Sandbox } from "./sandbox.ts";

const resolving: PullProgress = { kind: "resolving", reference: "docker.io/library/alpine:latest" };
const report = (layerIndex: number, downloadedBytes: number): PullProgress => ({
  kind: "layerDownloadProgress",
  layerIndex,
  digest: "sha256:0",
  downloadedBytes,
  totalBytes: 100,
});
const complete = (layerIndex: number): PullProgress => ({
  kind: "layerDownloadComplete",
  layerIndex,
  digest: "sha256:0",
  downloadedBytes: 100,
});

async function all(stream: AsyncIterable<PullProgress>): Promise<PullProgress[]> {
  const events: PullProgress[] = [];
  for await (const event of stream) events.push(event);
  return events;
}

test("events come in order, then the end", async () => {
  const stream = new PullProgressStream();
  const waiting = stream.recv();
  stream.push(resolving);
  stream.push(complete(0));
  stream.end();
  assert.deepEqual(await waiting, resolving);
  assert.deepEqual(await stream.recv(), complete(0));
  assert.equal(await stream.recv(), null);
  assert.equal(await stream.recv(), null);
});

test("whoever waits is told of the end", async () => {
  const stream = new PullProgressStream();
  const waiting = [stream.recv(), stream.recv()];
  stream.end();
  assert.deepEqual(await Promise.all(waiting), [null, null]);
});

test("a reader who does not keep up gets the latest report of each layer, and memory stays small", async () => {
  const stream = new PullProgressStream();
  stream.push(resolving);
  for (let bytes = 1; bytes <= 1000; bytes++) {
    stream.push(report(0, bytes));
    stream.push(report(1, 2 * bytes));
  }
  stream.push(complete(0));
  stream.end();
  assert.deepEqual(await all(stream), [resolving, report(0, 1000), report(1, 2000), complete(0)]);
});

test("leaving the loop early leaves the rest for later", async () => {
  const stream = new PullProgressStream();
  stream.push(resolving);
  stream.push(complete(0));
  stream.end();
  for await (const event of stream) {
    assert.deepEqual(event, resolving);
    break;
  }
  assert.deepEqual(await all(stream), [complete(0)]);
});

test("a failure is told by awaitSandbox, once; nobody asking is no crash", async () => {
  const failed = (): Promise<Sandbox> => Promise.reject(new Error("no such image"));
  const silent = new PullProgressCreate(new PullProgressStream(), failed());
  const asked = new PullProgressCreate(new PullProgressStream(), failed());
  await assert.rejects(asked.awaitSandbox(), /no such image/);
  await assert.rejects(asked.awaitSandbox(), CustomError);
  assert.ok(silent.progress instanceof PullProgressStream);
});

test("one who gives up takes no event from the next one", async () => {
  const stream = new PullProgressStream();
  await assert.rejects(stream.recv({ timeoutMs: 1 }), OperationTimeoutError);
  const waiting = stream.recv();
  stream.push(resolving);
  assert.deepEqual(await waiting, resolving);
});

test("a wait for the sandbox that was given up can be taken up again", async () => {
  const creation = Promise.withResolvers<Sandbox>();
  const create = new PullProgressCreate(new PullProgressStream(), creation.promise);
  await assert.rejects(create.awaitSandbox({ timeoutMs: 0 }), OperationTimeoutError);
  await assert.rejects(create.awaitSandbox({ timeoutMs: 1 }), OperationTimeoutError);
  creation.reject(new Error("no such image"));
  await assert.rejects(create.awaitSandbox(), /no such image/);
  await assert.rejects(create.awaitSandbox(), CustomError);
});
