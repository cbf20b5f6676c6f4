import assert from "node:assert/strict";
import { test } from "node:test";
import { checkModuleOrder, guestModules, moduleDependencies, parseBuiltIn } from "./modules.ts";

const module = (name: string, depends: string): { name: string; content: Buffer } => ({
  name,
  content: Buffer.from(`\x7fELF…license=GPL\0depends=${depends}\0name=${name}\0`, "latin1"),
});

const complete = guestModules.map((name) => module(name, ""));

test("a module's dependencies are read from its own text", () => {
  assert.deepEqual(moduleDependencies(module("ext4", "jbd2,crc16,mbcache").content), [
    "jbd2",
    "crc16",
    "mbcache",
  ]);
  assert.deepEqual(moduleDependencies(module("virtio", "").content), []);
  assert.deepEqual(moduleDependencies(Buffer.from("no section")), []);
});

test("an order in which every module finds what it needs is right", () => {
  const modules = complete.map((entry) =>
    entry.name === "pvpanic-mmio" ? module(entry.name, "pvpanic") : entry,
  );
  checkModuleOrder(modules, new Set());
});

test("what the kernel has built in need not be loaded, whichever way its name is written", () => {
  const modules = complete
    .filter(({ name }) => name !== "virtio_mmio")
    .map((entry) => (entry.name === "virtio_blk" ? module("virtio_blk", "virtio-mmio") : entry));
  checkModuleOrder(modules, parseBuiltIn("kernel/drivers/virtio/virtio_mmio.ko\nkernel/lib/crc16.ko\n"));
});

test("a module that comes too early or is missing is named", () => {
  const early = complete.map((entry) => (entry.name === "virtio" ? module("virtio", "virtio_blk") : entry));
  assert.throws(() => {
    checkModuleOrder(early, new Set());
  }, /virtio needs virtio_blk before it/);
  assert.throws(() => {
    checkModuleOrder(
      complete.filter(({ name }) => name !== "erofs"),
      new Set(),
    );
  }, /the kernel has no erofs/);
});
