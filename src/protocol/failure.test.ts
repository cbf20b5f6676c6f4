import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as classes from "../errors/classes.ts";
import { CustomError, ImageError, IoError, RuntimeError, type MicrosandboxError } from "../errors/index.ts";
import { makeError } from "../errors/restore.ts";
import { errorTable, type DetailKind, type MicrosandboxErrorCode } from "../errors/table.ts";
import { decodeFailure, encodeFailure } from "./failure.ts";
import { decodeMessage, encodeMessage, type FailureMessage } from "./generated/messages.ts";

const codes = Object.keys(errorTable) as MicrosandboxErrorCode[];

function sample(name: string, kind: DetailKind): unknown {
  if (kind === "bytes") return Buffer.from([0, 255, ...Buffer.from(name)]);
  if (kind === "boolean") return true;
  if (kind === "string" || kind === "string?") return `the ${name} é`;
  return kind === "number" || kind === "number?" ? name.length : kind[0];
}

/** There and back over the wire. */
function cross(error: unknown): MicrosandboxError {
  const message = decodeMessage(encodeMessage(encodeFailure(error)), "supervisor→client");
  assert.equal(message.type, "Failure");
  return decodeFailure(message);
}

describe("every kind of error", () => {
  for (const code of codes) {
    test(`${code} crosses as itself`, () => {
      const entry = errorTable[code];
      const fields = Object.entries<DetailKind>(entry.details);
      const details = Object.fromEntries(fields.map(([name, kind]) => [name, sample(name, kind)]));
      const cause = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
      const error = makeError(code, "what happened", details, { hint: "what to do", cause });
      error.addLog(["+1 ms asked", "+2 ms answered"]);
      const crossed = cross(error);
      assert.equal(crossed.constructor, classes[entry.class]);
      assert.equal(crossed.name, entry.class);
      assert.equal(crossed.code, code);
      assert.equal(crossed.message, "what happened");
      assert.equal(crossed.hint, "what to do");
      assert.deepEqual(crossed.log, error.log);
      assert.deepEqual(crossed.details, details);
      for (const [name, kind] of fields) {
        if (kind !== "bytes") assert.equal(Reflect.get(crossed, name), details[name], name);
      }
      assert.ok(crossed.cause instanceof Error);
      assert.equal(crossed.cause.message, "no space left on device");
      assert.equal(Reflect.get(crossed.cause, "code"), "ENOSPC");
    });
  }

  test("every class is in the table", () => {
    const named = codes.map((code) => errorTable[code].class);
    assert.deepEqual(Object.keys(classes).sort(), named.sort());
  });

  test("null stays null, and every word a word", () => {
    const failure = { errno: null, errnoName: null, stage: null };
    for (const kind of errorTable.execFailed.details.kind) {
      assert.deepEqual(cross(makeError("execFailed", "", { kind, ...failure }, {})).details, {
        kind,
        ...failure,
      });
    }
  });
});

test("the output of a command that timed out crosses, bytes as they are", () => {
  const output = { timeoutMs: 5, stdout: Buffer.from([0xff, 0x41]), stderr: Buffer.from("é") };
  const error = cross(makeError("execTimeout", "", output, {}));
  assert.ok(error instanceof classes.ExecTimeoutError);
  assert.deepEqual(error.stdoutBytes(), output.stdout);
  assert.equal(error.stderr(), "é");
});

test("causes of causes cross, ours with all they have", () => {
  const system = Object.assign(new Error("full"), { code: "ENOSPC" });
  const io = new IoError("cannot write", { hint: "make room", cause: system });
  const crossed = cross(new ImageError("no image", { cause: new TypeError("odd", { cause: io }) }));
  assert.ok(crossed.cause instanceof Error);
  assert.equal(crossed.cause.name, "TypeError");
  const inner = crossed.cause.cause;
  assert.ok(inner instanceof IoError);
  assert.equal(inner.hint, "make room");
  assert.equal(Reflect.get(inner.cause as object, "code"), "ENOSPC");
});

test("causes that go round end", () => {
  const error = new CustomError("round");
  error.cause = error;
  assert.equal(cross(error).message, "round");
});

test("what is no error of this package is the cause of a RuntimeError", () => {
  const crossed = cross(Object.assign(new Error("refused"), { code: "ECONNREFUSED" }));
  assert.ok(crossed instanceof RuntimeError);
  assert.equal(crossed.message, "refused");
  assert.equal(Reflect.get(crossed.cause as object, "code"), "ECONNREFUSED");
  assert.equal(cross("text").message, "text");
  assert.equal(cross(new Error("\ud800")).message, "\ufffd");
});

test("a system error that a user can do something about keeps its hint", () => {
  const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  const crossed = decodeFailure(encodeFailure(full));
  assert.ok(crossed instanceof IoError);
  assert.match(crossed.hint, /disk is full/);
  assert.equal((crossed.cause as NodeJS.ErrnoException).code, "ENOSPC");
});

test("more than a frame takes is cut at its beginning", () => {
  const stdout = Buffer.alloc(8 * 1024 * 1024, "a");
  stdout.write("end", stdout.length - 3);
  let error: MicrosandboxError = makeError("execTimeout", "x", { timeoutMs: 1, stdout, stderr: stdout }, {});
  for (let depth = 0; depth < 10; depth += 1) {
    error = makeError("execTimeout", "x", { timeoutMs: 1, stdout, stderr: stdout }, { cause: error });
  }
  const crossed = cross(error);
  assert.ok(crossed instanceof classes.ExecTimeoutError);
  assert.match(crossed.stdout(), /a+end$/);
});

describe("a peer of another version, or a hostile one", () => {
  const failure: FailureMessage = { type: "Failure", code: "x", message: "m", hint: "h", details: "{}" };

  test("an unknown kind is named", () => {
    for (const code of ["newer", "constructor", "__proto__", ""]) {
      const error = decodeFailure({ ...failure, code });
      assert.ok(error instanceof RuntimeError);
      assert.ok(error.message.includes(JSON.stringify(code)), error.message);
      assert.equal(error.hint, "h");
    }
  });

  test("details that are none do no harm", () => {
    const oddities = [5, null, "x", [], {}, { fields: 5 }, { a: 1 }];
    for (const odd of oddities) {
      const values = { log: odd, cause: odd, fields: odd };
      const fields = { stage: odd, errno: odd, stdout: odd, timeoutMs: odd, kind: odd, sandboxName: odd };
      for (const details of [
        "",
        "{",
        JSON.stringify(odd),
        JSON.stringify(values),
        JSON.stringify({ fields }),
      ]) {
        for (const code of codes) {
          const error = decodeFailure({ ...failure, code, details });
          assert.equal(error.code, code);
          for (const [name, kind] of Object.entries<DetailKind>(errorTable[code].details)) {
            const value: unknown = Reflect.get(error.details, name);
            if (typeof kind !== "string") assert.ok(kind.includes(value as string), `${code}.${name}`);
            else if (kind === "bytes") assert.ok(Buffer.isBuffer(value));
            else assert.ok(typeof value === kind.replace("?", "") || (kind.endsWith("?") && value === null));
          }
        }
      }
    }
  });
});
