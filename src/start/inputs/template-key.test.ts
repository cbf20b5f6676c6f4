import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { effectiveConfig } from "../../config/sandbox/effective-config.ts";
import { SandboxDraft } from "../../config/sandbox/sandbox-draft.ts";
import type { Accelerator, GuestKernel } from "../../machine/types.ts";
import type { QemuBinary } from "../../machine/qemu/qemu-binary.ts";
import { locateHome } from "../../store/home.ts";
import { sandboxPaths } from "../../store/sandboxes.ts";
import type { SandboxRecord } from "../../store/sandbox-record.ts";
import type { StoredConfig } from "../../config/sandbox/stored-config.ts";
import { prepareRoot } from "./root.ts";
import type { PreparedNetwork, TemplateKeys } from "../contract/handover.ts";
import { templateKeys } from "./template-key.ts";

// Needs the guest's files (`npm run build`).

let directory = "";
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "template-key-"));
});
after(() => rm(directory, { recursive: true, force: true }));

const draft = new SandboxDraft("one");
draft.set("image", "localhost/base");
/** What is stored of a sandbox for which nothing else was said. */
const config = effectiveConfig(draft.finish(), {}, null);

const qemu: QemuBinary = {
  path: "/usr/bin/qemu",
  version: "7.2.22",
  seccomp: true,
  lifeline: { kind: "watcher" },
  env: null,
  identity: "q",
};
const kernel: GuestKernel = {
  vmlinux: "/guest/vmlinux",
  initramfs: "/guest/initramfs.cpio",
  agentPath: null,
  custom: false,
  identity: "k",
};

interface Changes {
  readonly name?: string;
  readonly config?: Partial<StoredConfig>;
  readonly qemu?: Partial<QemuBinary>;
  readonly kernel?: Partial<GuestKernel>;
  readonly accelerator?: Accelerator;
  readonly network?: PreparedNetwork | null;
}

async function keys(changes: Changes = {}): Promise<TemplateKeys> {
  const name = changes.name ?? "one";
  const record: SandboxRecord = {
    ...{ format: 2, id: "0123456789abcdef", name, createdAt: "2026-01-01T00:00:00.000Z" },
    config: { ...config, ...changes.config },
  };
  const home = locateHome({ MSB_HOME: directory });
  const root = await prepareRoot(record.config, sandboxPaths(home, name), home, new AbortController().signal);
  return await templateKeys({
    record,
    root,
    qemu: { ...qemu, ...changes.qemu },
    kernel: { ...kernel, ...changes.kernel },
    accelerator: changes.accelerator ?? "tcg",
    network: changes.network ?? null,
  });
}

test("whom a guest believes is in the template of its image, and nothing else of its network is", async () => {
  const believing = (trust: PreparedNetwork["trust"], families: PreparedNetwork["families"] = [4]) =>
    keys({ network: { families, trust } });
  const nobody = await keys();
  assert.deepEqual(await believing(null, [4, 6]), nobody);
  const one = await believing({ authority: "one", hostRoots: [] });
  const others = [
    await believing({ authority: "two", hostRoots: [] }),
    await believing({ authority: "one", hostRoots: ["root"] }),
    await believing({ authority: null, hostRoots: ["root"] }),
  ];
  const all = [nobody, one, ...others];
  assert.equal(new Set(all.map(({ image }) => image)).size, all.length);
  assert.equal(new Set(all.map(({ machine }) => machine)).size, 1);
  assert.deepEqual(await believing({ authority: "one", hostRoots: [] }, [6]), one);
});

test("what a sandbox is called and does is no part of its template", async () => {
  const changes: Changes = {
    name: "other",
    config: { hostname: "other", workdir: "/tmp", env: [["A", "1"]], user: "nobody", ephemeral: true },
  };
  assert.deepEqual(await keys(changes), await keys());
});

const machines: Record<string, Changes> = {
  processors: { config: { cpus: 2 } },
  memory: { config: { memoryMib: 256 } },
  "huge pages": { config: { thp: "always" } },
  "QEMU's version": { qemu: { version: "8.0.0" } },
  "QEMU's file": { qemu: { identity: "q2" } },
  "the kernel or the initramfs": { kernel: { identity: "k2" } },
  "the accelerator": { accelerator: "kvm" },
};

for (const [what, changes] of Object.entries(machines)) {
  test(`${what}: another one has templates of its own`, async () => {
    const [mine, theirs] = [await keys(), await keys(changes)];
    assert.notEqual(theirs.machine, mine.machine);
    assert.notEqual(theirs.image, mine.image);
  });
}

test("a writable disk of another size has an image template of its own, on the same machine", async () => {
  const [mine, theirs] = [
    await keys(),
    await keys({ config: { rootDisk: { kind: "managed", sizeMib: 64 } } }),
  ];
  assert.equal(theirs.machine, mine.machine);
  assert.notEqual(theirs.image, mine.image);
});

test("what is no image on a disk of ours has a machine template at most", async () => {
  const mine = await keys();
  const others: Changes[] = [
    { config: { image: { kind: "bind", path: directory } } },
    { config: { rootDisk: { kind: "tmpfs", sizeMib: 64 } } },
    { kernel: { custom: true } },
  ];
  for (const changes of others) {
    assert.deepEqual(await keys(changes), { machine: mine.machine, image: null });
  }
});
