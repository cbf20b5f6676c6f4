import assert from "node:assert/strict";
import { constants } from "node:os";
import { test } from "node:test";
import { ImageError, IoError } from "../errors/index.ts";
import { errorCode, ioError, isMediumError, noSpaceLeft, systemHint } from "./system-error.ts";

const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });

test("a system error is told with what was tried and what to do", () => {
  const error = ioError("write the file", full);
  assert.ok(error instanceof IoError);
  assert.equal(error.message, "cannot write the file: ENOSPC: no space left on device, write");
  assert.match(error.hint, /disk is full/);
  assert.equal(error.cause, full);
  assert.equal(noSpaceLeft("write the disk").hint, error.hint);
  // A file that a user named is not where MSB_HOME is.
  assert.match(error.hint, /MSB_HOME/);
  for (const code of ["ENOSPC", "EDQUOT", "EACCES", "EPERM", "EROFS", "ENOTDIR", "EEXIST"]) {
    const { hint } = ioError("write it", Object.assign(new Error(code), { code }), "userFile");
    assert.ok(hint !== "" && !hint.includes("MSB_HOME"), code);
  }
  assert.equal(ioError("x", Object.assign(new Error("?"), { code: "constructor" })).hint, "");
});

test("an error of this package is not wrapped again: it keeps its code and its hint", () => {
  const inner = ioError("write the file", full);
  assert.equal(ioError("create the sandbox", inner), inner);
  const other = new ImageError("damaged", { hint: "Pull it again." });
  assert.equal(ioError("load the archive", other), other);
});

test("a code of this package is no code of the system", () => {
  assert.equal(errorCode(full), "ENOSPC");
  assert.equal(errorCode(ioError("x", full)), undefined);
  assert.equal(systemHint(ioError("x", full)), undefined);
  assert.equal(errorCode("ENOSPC"), undefined);
});

test("an error that Node has no name for has the system's", { skip: process.platform !== "linux" }, () => {
  // As Node 22 and 24 tell a write of a file whose owner has used up his quota, synchronous and not.
  const told = [
    ["UNKNOWN", "UNKNOWN: unknown error, write"],
    ["Unknown system error -122", "Unknown system error -122: Unknown system error -122, write"],
  ] as const;
  for (const [code, message] of told) {
    const error = Object.assign(new Error(message), { code, errno: -122, syscall: "write" });
    assert.equal(errorCode(error), "EDQUOT");
    const wrapped = ioError("write the file", error);
    assert.equal(wrapped.message, "cannot write the file: EDQUOT, write");
    assert.match(wrapped.hint, /quota is used up/);
  }
  const strange = Object.assign(new Error("UNKNOWN: unknown error"), { code: "UNKNOWN", errno: -4094 });
  assert.equal(errorCode(strange), "UNKNOWN");
});

test("an error of the medium is none of a limit or a permission", () => {
  const failed = (code: string, errno: number): Error =>
    Object.assign(new Error(code), { code, errno: -errno });
  const { EIO, EBADMSG, EMFILE, EACCES } = constants.errno;
  // As Node tells EUCLEAN.
  for (const [code, errno] of [
    ["EIO", EIO],
    ["EBADMSG", EBADMSG],
    ["Unknown system error -117", 117],
  ] as const)
    assert.ok(isMediumError(failed(code, errno)), code);
  for (const [code, errno] of [
    ["EMFILE", EMFILE],
    ["EACCES", EACCES],
  ] as const)
    assert.ok(!isMediumError(failed(code, errno)), code);
  assert.ok(!isMediumError(ioError("read it", failed("EIO", EIO))));
});
