import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { sandboxWithVolume } from "../../../test/support/volume-sandbox.ts";
import { checkVolumeConfig } from "../../config/volumes/volume-config.ts";
import { VolumeAlreadyExistsError } from "../../errors/index.ts";
import { locateHome } from "../../store/home.ts";
import { removeVolume } from "../../store/volumes/volume-removal.ts";
import { createVolume, findVolume, listVolumes } from "../../store/volumes/volumes.ts";
import { makeMissing } from "./missing-volumes.ts";

const directory = mkdtempSync(join(tmpdir(), "msb-missing-volumes-"));
after(() => {
  rmSync(directory, { recursive: true, force: true });
});
const configs = (...names: string[]): ReturnType<typeof checkVolumeConfig>[] =>
  names.map((name) => checkVolumeConfig({ name }));

test("volumes of a sandbox that is not made go, except what others have begun to use", async () => {
  const home = locateHome({ MSB_HOME: join(directory, "one") });
  const made = await makeMissing(home, configs("empty", "filled", "taken", "replaced"), () => true);
  const kept = join((await findVolume(home, "filled")).paths.directory, "data");
  writeFileSync(kept, "of another program");
  await sandboxWithVolume(home, "box", "taken");
  await removeVolume(home, "replaced");
  await createVolume(home, checkVolumeConfig({ name: "replaced" }));
  await made.undo();
  assert.deepEqual(
    (await listVolumes(home)).map(({ record }) => record.name),
    ["filled", "replaced", "taken"],
  );
  assert.equal(readFileSync(kept, "utf8"), "of another program");
});

test("one that is there already is nobody's to undo, and none is left when another cannot be made", async () => {
  const home = locateHome({ MSB_HOME: join(directory, "two") });
  await createVolume(home, checkVolumeConfig({ name: "there" }));
  await (await makeMissing(home, configs("there"), () => true)).undo();
  await findVolume(home, "there");
  await assert.rejects(
    makeMissing(home, configs("new", "there"), () => false),
    VolumeAlreadyExistsError,
  );
  assert.deepEqual(
    (await listVolumes(home)).map(({ record }) => record.name),
    ["there"],
  );
});
