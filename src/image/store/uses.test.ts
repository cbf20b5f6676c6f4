import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { stoppedSandbox } from "../../../test/support/stopped-sandbox.ts";
import { checkSnapshotConfig } from "../../config/snapshots/snapshot-config.ts";
import { IoError } from "../../errors/index.ts";
import { locateHome } from "../../store/home.ts";
import { removeSandbox } from "../../store/sandboxes.ts";
import { createSnapshot } from "../../store/snapshots/create-snapshot.ts";
import { findImageUses } from "./uses.ts";

const directory = mkdtempSync(join(tmpdir(), "msb-uses-"));
after(() => {
  rmSync(directory, { recursive: true, force: true });
});

test("what a snapshot needs is in use when its sandbox is gone, and nobody knows when it cannot be read", async () => {
  const home = locateHome({ MSB_HOME: directory });
  const manifestDigest = `sha256:${"a".repeat(64)}`;
  await stoppedSandbox(home, "box", { image: "alpine:3", imageDigest: manifestDigest });
  const config = checkSnapshotConfig({
    ...{ subject: "snap", fromSandbox: "box", name: null, path: null, destDir: null, labels: {} },
    ...{ force: false, recordIntegrity: false, resumable: false, guestFlush: "auto" as const },
  });
  const snapshot = await createSnapshot(home, config, null, new AbortController().signal);
  await removeSandbox(home, "box", null);
  const user = { kind: "snapshot", name: "snap" };
  const use = { user, reference: "docker.io/library/alpine:3", manifestDigest };
  assert.deepEqual(await findImageUses(home), [use]);
  writeFileSync(join(snapshot.directory, "snapshot.json"), "{");
  await assert.rejects(findImageUses(home), (error) => {
    assert.ok(error instanceof IoError);
    assert.match(error.message, /cannot tell which image the snapshot snap needs/);
    return true;
  });
});
