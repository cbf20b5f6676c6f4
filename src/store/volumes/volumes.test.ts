import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { sandboxWithVolume } from "../../../test/support/volume-sandbox.ts";
import { checkVolumeConfig, type VolumeConfigInput } from "../../config/volumes/volume-config.ts";
import {
  InvalidConfigError,
  IoError,
  VolumeAlreadyExistsError,
  VolumeNotFoundError,
} from "../../errors/index.ts";
import { locateHome, type Home } from "../home.ts";
import { removeSandbox, sandboxPaths } from "../sandboxes.ts";
import { discardVolume, newVolume } from "./discard-volume.ts";
import { stagingPath, volumePaths } from "./volume-paths.ts";
import { pruneVolumes, removeVolume } from "./volume-removal.ts";
import { volumeUsage } from "./volume-usage.ts";
import { holdVolume } from "./volume-use.ts";
import { createVolume, findIfThere, findVolume, listVolumes, type FoundVolume } from "./volumes.ts";

const directory = mkdtempSync(join(tmpdir(), "msb-volumes-"));
after(() => {
  rmSync(directory, { recursive: true, force: true });
});

let homes = 0;
const newHome = (): Home => locateHome({ MSB_HOME: join(directory, String(++homes)) });
const make = (home: Home, fields: VolumeConfigInput): Promise<FoundVolume> =>
  createVolume(home, checkVolumeConfig(fields));
const never = new AbortController().signal;

test("a volume is there with what was said of it, and its name is taken", async () => {
  const home = newHome();
  const longest = "v".repeat(128);
  await make(home, { name: longest, labels: { __proto__x: "1", constructor: "2" }, quotaMib: 5 });
  const { record, paths } = await findVolume(home, longest);
  assert.deepEqual({ ...record.labels }, { __proto__x: "1", constructor: "2" });
  assert.deepEqual([record.kind, record.quotaMib, record.capacityMib], ["dir", 5, null]);
  assert.deepEqual(readdirSync(paths.directory), []);
  assert.equal(statSync(paths.directory).mode & 0o777, 0o700);
  await assert.rejects(make(home, { name: longest }), VolumeAlreadyExistsError);
  assert.deepEqual(readdirSync(home.volumes).sort(), [".records", longest]);
  assert.deepEqual(readdirSync(join(home.volumes, ".records")), [`${longest}.json`]);
});

test("a disk has its size and takes little of the host's", async () => {
  const home = newHome();
  const volume = await make(home, { name: "disk", kind: "disk", sizeMib: 5000 });
  assert.equal(statSync(volume.paths.disk).size, 5000 * 1024 * 1024);
  const used = await volumeUsage(volume);
  assert.ok(used > 16 * 1024 && used < 16 * 1024 * 1024, String(used));
});

test("of many who make the same volume one wins, and the others are told", async () => {
  const home = newHome();
  const results = await Promise.allSettled(
    Array.from({ length: 12 }, () => make(home, { name: "same", kind: "disk", sizeMib: 16 })),
  );
  const won = results.filter(({ status }) => status === "fulfilled");
  assert.equal(won.length, 1);
  for (const result of results)
    if (result.status === "rejected") assert.ok(result.reason instanceof VolumeAlreadyExistsError);
  assert.deepEqual(readdirSync(home.volumes).sort(), [".records", "same"]);
  assert.equal(statSync(volumePaths(home, "same").disk).size, 16 * 1024 * 1024);
});

test("whoever looks completes a volume whose maker was killed, however many look at once", async () => {
  const home = newHome();
  const { record, paths } = await make(home, { name: "late", kind: "disk", sizeMib: 16 });
  renameSync(paths.directory, stagingPath(home, record.id));
  const found = await Promise.all(Array.from({ length: 8 }, () => findIfThere(home, "late")));
  for (const volume of found) assert.equal(volume?.record.id, record.id);
  assert.ok(existsSync(paths.disk));
});

test("a maker who was killed before leaves no volume, and what he left goes", async () => {
  const home = newHome();
  await make(home, { name: "other" });
  const [left, fresh] = [stagingPath(home, "0".repeat(16)), stagingPath(home, "1".repeat(16))];
  for (const path of [left, fresh]) {
    mkdirSync(path);
    writeFileSync(join(path, "disk.raw"), "half");
  }
  utimesSync(left, 0, 0);
  assert.deepEqual(
    (await listVolumes(home)).map(({ record }) => record.name),
    ["other"],
  );
  await removeVolume(home, "other");
  assert.equal(existsSync(left), false);
  assert.equal(existsSync(fresh), true, "its maker may be at work");
});

test("a remover who was killed leaves no volume, and its name is free", async () => {
  const home = newHome();
  const { paths } = await make(home, { name: "gone" });
  renameSync(paths.directory, join(home.volumes, ".removed-0"));
  assert.equal(await findIfThere(home, "gone"), null);
  assert.equal(existsSync(paths.record), false);
  await make(home, { name: "gone" });
  await removeVolume(home, "gone");
  assert.deepEqual(readdirSync(home.volumes), [".records"]);
});

test("what is in a volume's place and is none is neither taken nor changed", async () => {
  const home = newHome();
  mkdirSync(join(home.volumes, "mine"), { recursive: true });
  writeFileSync(join(home.volumes, "mine", "file"), "mine");
  await assert.rejects(make(home, { name: "mine" }), VolumeAlreadyExistsError);
  await assert.rejects(removeVolume(home, "mine"), VolumeNotFoundError);
  assert.deepEqual(readdirSync(join(home.volumes, "mine")), ["file"]);
});

test("a volume that is held is not removed, by anyone who holds it", async () => {
  const home = newHome();
  await make(home, { name: "held" });
  const [one, two] = [await holdVolume(home, "held"), await holdVolume(home, "held")];
  await assert.rejects(removeVolume(home, "held"), InvalidConfigError);
  await one.lock.release();
  await assert.rejects(removeVolume(home, "held"), /in use by a sandbox that runs/);
  assert.deepEqual((await pruneVolumes(home, never)).volumesRemoved, []);
  await two.lock.release();
  assert.deepEqual((await pruneVolumes(home, never)).volumesRemoved, ["held"]);
  await assert.rejects(holdVolume(home, "held"), VolumeNotFoundError);
});

const damages: Readonly<Record<string, (config: string) => void>> = {
  "is damaged": (config) => {
    writeFileSync(config, "{");
  },
  "is of a later version": (config) => {
    const stored = JSON.parse(readFileSync(config, "utf8")) as object;
    writeFileSync(config, JSON.stringify({ ...stored, format: 99 }));
  },
  "cannot be read": (config) => {
    rmSync(config);
    mkdirSync(config);
  },
  "is gone": (config) => {
    rmSync(config);
  },
};

for (const [what, damage] of Object.entries(damages)) {
  test(`no volume is pruned while the record of a sandbox ${what}`, async () => {
    const home = newHome();
    const { paths } = await make(home, { name: "data" });
    writeFileSync(join(paths.directory, "kept"), "kept");
    await sandboxWithVolume(home, "box", "data");
    await sandboxWithVolume(home, "other", "another");
    damage(sandboxPaths(home, "box").config);
    await assert.rejects(pruneVolumes(home, never), (error) => {
      assert.ok(error instanceof IoError, String(error));
      assert.match(error.message, /cannot tell which volumes the sandbox box has/);
      assert.match(error.hint, /[a-z]/);
      return true;
    });
    assert.deepEqual(readdirSync(paths.directory), ["kept"]);
    await removeSandbox(home, "box", null);
    assert.deepEqual((await pruneVolumes(home, never)).volumesRemoved, ["data"]);
  });
}

test("what is no sandbox's directory keeps no volume", async () => {
  const home = newHome();
  await make(home, { name: "data" });
  mkdirSync(home.sandboxes, { recursive: true });
  writeFileSync(join(home.sandboxes, "file"), "");
  mkdirSync(join(home.sandboxes, ".new-0"));
  assert.deepEqual((await pruneVolumes(home, never)).volumesRemoved, ["data"]);
});

test("a volume of a sandbox that is made while volumes are pruned stays", async () => {
  const home = newHome();
  await make(home, { name: "a" });
  const { paths } = await make(home, { name: "b" });
  await sandboxWithVolume(home, "box", "b");
  const { directory: place } = sandboxPaths(home, "box");
  const aside = join(home.sandboxes, ".new-0");
  renameSync(place, aside);
  // Between the first look at the sandboxes and the removal of the first volume.
  const signal = Object.create(never, {
    throwIfAborted: {
      value: () => {
        if (existsSync(aside)) renameSync(aside, place);
      },
    },
  }) as AbortSignal;
  assert.deepEqual((await pruneVolumes(home, signal)).volumesRemoved, ["a"]);
  assert.ok(existsSync(paths.directory));
});

test("a volume that is not needed after all goes, unless it is another's by now", async () => {
  const home = newHome();
  const fresh = async (fields: VolumeConfigInput): ReturnType<typeof newVolume> =>
    await newVolume(await make(home, fields));
  assert.equal(await discardVolume(home, await fresh({ name: "dir" })), true);
  assert.equal(await discardVolume(home, await fresh({ name: "disk", kind: "disk", sizeMib: 16 })), true);
  assert.deepEqual(readdirSync(home.volumes), [".records"]);

  const filled = await fresh({ name: "filled" });
  writeFileSync(join(filled.volume.paths.directory, "data"), "of another program");
  const written = await fresh({ name: "written", kind: "disk", sizeMib: 16 });
  utimesSync(written.volume.paths.disk, 0, 0);
  const taken = await fresh({ name: "taken" });
  await sandboxWithVolume(home, "box", "taken");
  const replaced = await fresh({ name: "replaced" });
  await removeVolume(home, "replaced");
  await make(home, { name: "replaced" });
  for (const volume of [filled, written, taken, replaced]) {
    assert.equal(await discardVolume(home, volume), false, volume.volume.record.name);
    assert.ok(existsSync(volume.volume.paths.directory));
  }
  const gone = await fresh({ name: "gone" });
  await removeVolume(home, "gone");
  await assert.rejects(discardVolume(home, gone), VolumeNotFoundError);
});

test("a volume is removed however deep and whatever its modes are", async () => {
  const home = newHome();
  const { paths } = await make(home, { name: "deep" });
  const start = process.cwd();
  process.chdir(paths.directory);
  try {
    // Ten times as deep as a path may be long.
    for (let depth = 0; depth < 200; depth += 1) {
      mkdirSync("d".repeat(200), { mode: 0o700 });
      process.chdir("d".repeat(200));
      writeFileSync("f", "x");
    }
  } finally {
    process.chdir(start);
  }
  mkdirSync(join(paths.directory, "closed"), { mode: 0 });
  await removeVolume(home, "deep");
  assert.deepEqual(readdirSync(home.volumes), [".records"]);
});

for (const [fields, pattern] of [
  [{ name: "" }, /name is empty/],
  [{ name: "../x" }, /volume name .* is not allowed/],
  [{ name: ".records" }, /not allowed/],
  [{ name: "v".repeat(129) }, /128 bytes/],
  [{ name: "a", kind: "disk" }, /has no size/],
  [{ name: "a", kind: "disk", sizeMib: 15 }, /16 MiB to 16 TiB/],
  [{ name: "a", kind: "disk", sizeMib: 16, quotaMib: 1 }, /no quota/],
  [{ name: "a", sizeMib: 16 }, /no size of its own/],
  [{ name: "a", quotaMib: 0 }, /at least 1/],
  [{ name: "a", kind: "tape" }, /tape/],
  [{ name: "a", quotaMb: 5 }, /quotaMib/],
  [{ name: "a", labels: { "sandbox.x": "1" } }, /reserved/],
] as const) {
  test(`${JSON.stringify(fields).slice(0, 60)} is refused`, () => {
    assert.throws(
      () => checkVolumeConfig(fields as VolumeConfigInput),
      (error) => {
        assert.ok(error instanceof InvalidConfigError);
        assert.match(error.message, pattern);
        return true;
      },
    );
  });
}
