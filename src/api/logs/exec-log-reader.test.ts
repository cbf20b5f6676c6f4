import assert from "node:assert/strict";
import { appendFile, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { InvalidConfigError, InvalidCursorError, MissedRotationError } from "../../errors/index.ts";
import { encodeLogLine, formatLogEnd, formatLogHeader, startedMarker } from "../../store/log-format.ts";
import { readExecLog } from "./exec-log-reader.ts";
import {
  checkLogOptions,
  chosenSources,
  decodeLogCursor,
  encodeLogCursor,
  isChosen,
  isInTime,
} from "./log-entry.ts";

let directory: string;
let path: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "msb-log-"));
});
beforeEach(async () => {
  path = join(await mkdtemp(join(directory, "log-")), "exec.log");
});
after(() => rm(directory, { recursive: true, force: true }));

const formatLogLine = (...parameters: Parameters<typeof encodeLogLine>): string =>
  encodeLogLine(...parameters).toString();
const line = (text: string): string => formatLogLine("stdout", Buffer.from(text), 1);

async function texts(position: number | null): Promise<string[]> {
  return (await readExecLog(path, position)).entries.map((entry) => entry.text());
}

test("no log yet is an empty one", async () => {
  assert.deepEqual(await readExecLog(path, null), { entries: [], begin: 0, position: 0 });
  assert.deepEqual(await readExecLog(path, 17), { entries: [], begin: 17, position: 17 });
});

test("entries come with their session and their bytes", async () => {
  const bytes = Buffer.from([0xff, 0, 0x80]);
  await writeFile(
    path,
    formatLogHeader(0) +
      formatLogLine("stderr", bytes, 5) +
      formatLogLine("system", Buffer.from("s\n"), null),
  );
  const { entries } = await readExecLog(path, null);
  assert.deepEqual(
    entries.map(({ source, sessionId }) => [source, sessionId]),
    [
      ["stderr", 5],
      ["system", null],
    ],
  );
  assert.deepEqual(entries[0]?.data, bytes);
  assert.equal(entries[0].text(), "\ufffd\0\ufffd");
});

test("bytes that are no text take no more room than base64 does, and come back as they were", async () => {
  const zeros = Buffer.alloc(30_000);
  const written = formatLogLine("stdout", zeros, 1);
  assert.ok(written.length < 41_000, `${written.length} characters`);
  await writeFile(path, formatLogHeader(0) + written);
  assert.deepEqual((await readExecLog(path, null)).entries[0]?.data, zeros);
});

test("marks tell where lines end, and are no entries for anybody else", async () => {
  const system = (text: string): string => formatLogLine("system", Buffer.from(text), null);
  await writeFile(path, formatLogHeader(0) + line("one") + formatLogEnd("stdout", 1) + system(startedMarker));
  const { entries } = await readExecLog(path, null);
  assert.deepEqual(
    entries.map(({ sessionId, ends, data }) => [sessionId, ends, data.toString()]),
    [
      [1, null, "one"],
      [1, "session", ""],
      [null, "all", ""],
      [null, null, startedMarker],
    ],
  );
  const chosen = (marks: boolean): (string | null)[] =>
    entries.filter((entry) => isChosen(entry, new Set(["stdout"]), {}, marks)).map(({ ends }) => ends);
  assert.deepEqual(chosen(true), [null, "session", "all"]);
  assert.deepEqual(chosen(false), [null]);
});

test("a line that is not whole yet is read once it is", async () => {
  const next = line("two");
  await writeFile(path, formatLogHeader(0) + line("one") + next.slice(0, 20));
  const first = await readExecLog(path, null);
  assert.deepEqual(
    first.entries.map((entry) => entry.text()),
    ["one"],
  );
  assert.deepEqual(await texts(first.position), []);
  await appendFile(path, next.slice(20) + line("three"));
  assert.deepEqual(await texts(first.position), ["two", "three"]);
});

test("a damaged line is passed over", async () => {
  await writeFile(
    path,
    formatLogHeader(0) + line("one") + '{"t":\n\0\0\0\n{"t":"x","s":"nowhere","d":""}\n' + line("two"),
  );
  assert.deepEqual(await texts(null), ["one", "two"]);
});

test("an entry's cursor leads past it, also across rotated files", async () => {
  const old = formatLogHeader(0) + line("1") + line("2");
  const middle = formatLogHeader(old.length) + line("3");
  await writeFile(`${path}.2`, old);
  await writeFile(`${path}.1`, middle);
  await writeFile(path, formatLogHeader(old.length + middle.length) + line("4"));
  const { entries, position } = await readExecLog(path, null);
  assert.deepEqual(
    entries.map((entry) => entry.text()),
    ["1", "2", "3", "4"],
  );
  for (const [index, { cursor }] of entries.entries()) {
    const rest = ["1", "2", "3", "4"].slice(index + 1);
    assert.deepEqual(await texts(decodeLogCursor(cursor).position), rest);
  }
  assert.deepEqual(await texts(position), []);

  await rm(`${path}.2`);
  await rename(`${path}.1`, `${path}.2`);
  await rename(path, `${path}.1`);
  await writeFile(path, formatLogHeader(position) + line("5"));
  assert.deepEqual(await texts(position), ["5"]);
  assert.deepEqual(await texts(null), ["3", "4", "5"]);
  await assert.rejects(
    readExecLog(path, decodeLogCursor(entries[0]?.cursor ?? "").position),
    MissedRotationError,
  );
});

test("a cursor is its place; what is none is refused", () => {
  for (const position of [0, 1, Number.MAX_SAFE_INTEGER]) {
    const place = { position, at: new Date(1_700_000_000_123) };
    assert.deepEqual(decodeLogCursor(encodeLogCursor(place)), place);
  }
  const encode = (json: string): string => Buffer.from(json).toString("base64url");
  const texts = [
    "null",
    '{"log":1}',
    '{"log":"1","at":1}',
    '{"log":-1,"at":1}',
    '{"log":1.5,"at":1}',
    '{"log":1,"at":null}',
  ];
  for (const cursor of ["", "%", ...texts.map(encode)]) {
    assert.throws(() => decodeLogCursor(cursor), InvalidCursorError);
  }
});

test("sources and times are chosen, and what makes no sense is refused", () => {
  assert.deepEqual([...chosenSources(undefined)], ["stdout", "stderr", "output"]);
  assert.deepEqual([...chosenSources(["stdout", "all"])], ["stdout", "stderr", "output", "system"]);
  assert.deepEqual([...chosenSources([])], []);
  assert.throws(() => chosenSources(["stdin" as "stdout"]), InvalidConfigError);
  for (const options of [{ tail: -1 }, { tail: 0.5 }, { since: new Date(NaN) }, { until: new Date(NaN) }]) {
    assert.throws(() => checkLogOptions(options), InvalidConfigError);
  }
  const at = new Date(1000);
  assert.equal(isInTime(at, { since: at }), true);
  assert.equal(isInTime(at, { until: at }), false);
  assert.equal(isInTime(at, { since: new Date(999), until: new Date(1001) }), true);
});
