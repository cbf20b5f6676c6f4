import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import {
  defaultBackendInfo,
  defaultBackendKind,
  InvalidConfigError,
  Sandbox,
  setDefaultBackend,
  setRuntimeLibkrunfwPath,
  LibkrunfwNotFoundError,
  UnsupportedOperationError,
  withDefaultBackend,
} from "../index.ts";
import { checkStartEnvironment } from "./backend.ts";

afterEach(() => {
  delete process.env["MSB_BACKEND"];
  delete process.env["MSB_PROFILE"];
  setRuntimeLibkrunfwPath(null);
});

const create = (): Promise<unknown> => Sandbox.builder("nowhere").image("localhost/base").create();

test("sandboxes run on this computer, whoever says so", async () => {
  assert.deepEqual(defaultBackendInfo(), { kind: "local", source: "default" });
  process.env["MSB_BACKEND"] = "local";
  assert.deepEqual(defaultBackendInfo(), { kind: "local", source: "MSB_BACKEND" });
  const within = await withDefaultBackend("local", () => Promise.resolve(defaultBackendInfo().source));
  assert.equal(within, "programmatic");
  assert.equal(defaultBackendInfo().source, "MSB_BACKEND");
  await assert.rejects(
    withDefaultBackend("local", () => Promise.reject(new Error("inner"))),
    /inner/,
  );
  assert.equal(defaultBackendKind(), "local");
});

test("no other backend is taken for this computer, and nothing is created then", async () => {
  const cloud = { kind: "cloud", apiKey: "secret" } as const;
  assert.throws(() => setDefaultBackend(cloud), UnsupportedOperationError);
  await assert.rejects(
    withDefaultBackend(cloud, () => assert.fail("it was begun")),
    (error) => error instanceof UnsupportedOperationError && !error.message.includes("secret"),
  );
  for (const wrong of ["Local", null, {}, 5])
    assert.throws(() => setDefaultBackend(wrong as never), InvalidConfigError);
  process.env["MSB_BACKEND"] = "cloud";
  await assert.rejects(create(), UnsupportedOperationError);
  process.env["MSB_BACKEND"] = "lokal";
  await assert.rejects(create(), InvalidConfigError);
  delete process.env["MSB_BACKEND"];
  process.env["MSB_PROFILE"] = "work";
  assert.throws(() => defaultBackendInfo(), UnsupportedOperationError);
  await assert.rejects(create(), UnsupportedOperationError);
  await withDefaultBackend("local", () => {
    checkStartEnvironment();
  });
});

test("a kernel for the whole process is that of what it creates", async () => {
  setRuntimeLibkrunfwPath("/nonexistent/vmlinux");
  await assert.rejects(
    create(),
    (error) => error instanceof LibkrunfwNotFoundError && error.message.includes("/nonexistent/vmlinux"),
  );
  assert.throws(() => setRuntimeLibkrunfwPath(""), InvalidConfigError);
});
