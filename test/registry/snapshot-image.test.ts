import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { pinnedImage } from "../../src/api/snapshots/origin/pinned-image.ts";
import { checkSnapshotConfig } from "../../src/config/snapshots/snapshot-config.ts";
import { SnapshotImageMissingError } from "../../src/errors/index.ts";
import { loadImages } from "../../src/image/archive/load.ts";
import { pullImage } from "../../src/image/pull/pull.ts";
import { listImages, pruneImages, removeImage } from "../../src/image/store/manage.ts";
import { findImageUses } from "../../src/image/store/uses.ts";
import { loadArchive } from "../../src/snapshot-archive/load-archive.ts";
import { saveArchive } from "../../src/snapshot-archive/save-archive.ts";
import { createSnapshot } from "../../src/store/snapshots/create-snapshot.ts";
import { removeSandbox } from "../../src/store/sandboxes.ts";
import { stoppedSandbox } from "../support/stopped-sandbox.ts";
import { image, layer, newHome, scratch, writeLayout } from "./images.ts";

const run = promisify(execFile);
const never = new AbortController().signal;
const reference = "example.org/app:1";

test("a snapshot keeps its image, and takes it along in an archive under its digest alone", async () => {
  await using directory = await scratch();
  const home = await newHome(directory.path);
  /** Stores an image of one file under the one name. */
  const bring = async (into: typeof home, content: string): Promise<string> => {
    const layout = join(directory.path, content);
    await writeLayout(layout, image([await layer({ file: content })]), reference);
    await run("tar", ["-C", layout, "-cf", `${layout}.tar`, "."]);
    await loadImages(into, `${layout}.tar`);
    return (await pullImage(reference, { home: into, policy: "never" })).manifestDigest;
  };
  const imageDigest = await bring(home, "first");
  await stoppedSandbox(home, "box", { image: reference, imageDigest });
  const config = checkSnapshotConfig({
    ...{ subject: "snap", fromSandbox: "box", name: null, path: null, destDir: null, labels: {} },
    ...{ force: false, recordIntegrity: true, resumable: false, guestFlush: "auto" as const },
  });
  const snapshot = await createSnapshot(home, config, null, never);
  await removeSandbox(home, "box", null);

  // The name means another image by now, and nobody but the snapshot needs the first one.
  await bring(home, "second");
  const uses = () => findImageUses(home);
  await pruneImages(home, uses);
  const pinned = await pinnedImage(snapshot, { home, policy: "never" });
  assert.deepEqual([pinned.manifestDigest, pinned.reference], [imageDigest, reference]);

  const archive = join(directory.path, "snap.tar.zst");
  const options = {
    withParents: false,
    since: null,
    withImage: true,
    plainTar: false,
    embedIntegrity: false,
  };
  await saveArchive(home, "snap", archive, options, never);

  const other = await newHome(join(directory.path, "other"));
  const second = await bring(other, "third");
  const loaded = await loadArchive(other, archive, null, { verify: true }, never);
  assert.equal(loaded.digest, snapshot.digest);
  assert.equal((await pinnedImage(loaded, { home: other, policy: "never" })).manifestDigest, imageDigest);
  assert.equal((await pullImage(reference, { home: other, policy: "never" })).manifestDigest, second);
  await pruneImages(other, () => findImageUses(other));
  assert.equal((await pinnedImage(loaded, { home: other, policy: "never" })).manifestDigest, imageDigest);

  // Without the snapshot nothing keeps it.
  await rm(loaded.directory, { recursive: true });
  await pruneImages(other, () => findImageUses(other));
  await assert.rejects(pinnedImage(loaded, { home: other, policy: "never" }), SnapshotImageMissingError);
  assert.deepEqual(await listImages(other), []);

  // A snapshot that cannot be read may need any of them.
  await writeFile(join(snapshot.directory, "snapshot.json"), "{");
  await assert.rejects(removeImage(home, reference, uses), /cannot tell which image/);
});
