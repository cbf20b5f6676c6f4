import assert from "node:assert/strict";
import { test } from "node:test";
import * as sdk from "./index.ts";

test("the kinds of things are there by name, too, and none is missing", () => {
  const { LogLevel, LogLevels, FsEntryKind, FsEntryKinds, ExecEventType } = sdk;
  assert.deepEqual(Object.values(LogLevel), LogLevels);
  assert.deepEqual(Object.values(FsEntryKind), FsEntryKinds);
  const types: Record<sdk.ExecEventType, true> = { started: true, stdout: true, stderr: true, exited: true };
  assert.deepEqual(Object.values(ExecEventType), Object.keys(types));
  const level: sdk.LogLevel = LogLevel.Debug;
  const kind: sdk.FsEntryKind = FsEntryKind.Symlink;
  assert.deepEqual([level, kind], ["debug", "symlink"]);
});
