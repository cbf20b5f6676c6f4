import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { locateHome } from "../home.ts";
import { CapturePlace } from "./capture-place.ts";

test("a place is there for as long as it is needed, and what was left of others goes", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "msb-captures-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const home = locateHome({ MSB_HOME: directory });
  const left = join(home.sandboxes, ".new-0123456789abcdef");
  await mkdir(left, { recursive: true });
  await writeFile(join(left, "lock"), "");
  await writeFile(join(left, "memory"), "a guest's");
  const anHourAgo = Date.now() / 1000 - 3600;
  await utimes(left, anHourAgo, anHourAgo);
  {
    await using place = await CapturePlace.make(home);
    await using other = await CapturePlace.make(home);
    await writeFile(place.paths.upper, "");
    await utimes(place.paths.directory, anHourAgo, anHourAgo);
    await using third = await CapturePlace.make(home);
    const names = [place, other, third].map(({ paths }) => paths.directory.slice(home.sandboxes.length + 1));
    assert.deepEqual((await readdir(home.sandboxes)).toSorted(), names.toSorted());
  }
  assert.deepEqual(await readdir(home.sandboxes), []);
});
