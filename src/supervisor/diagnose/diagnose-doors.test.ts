import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { sandboxRecord } from "../../../test/support/sandbox-record.ts";
import { guestDirectory } from "../../host/package-files.ts";
import { authorizedKeysPath } from "../../ssh/keys/authorized-keys.ts";
import { hostKeyPath, readHostKey } from "../../ssh/keys/host-key.ts";
import { locateHome, prepareHome, type Home } from "../../store/home.ts";
import { createSandboxDirectory, sandboxPaths } from "../../store/sandboxes.ts";
import { inspectDoors } from "./diagnose-doors.ts";
import type { Finding } from "./finding.ts";

let directory = "";
let home: Home;
const agent = join(guestDirectory(), "agent");

before(async () => {
  directory = mkdtempSync(join(tmpdir(), "msb-doors-"));
  home = locateHome({ MSB_HOME: directory });
  await prepareHome(home);
  await (await createSandboxDirectory(home, sandboxRecord("one"))).release();
});
after(() => rmSync(directory, { recursive: true, force: true }));

async function row(name: string, agentPath: string | null = agent): Promise<Finding> {
  const found = (await inspectDoors(home, agentPath)).find((finding) => finding.name === name);
  assert.ok(found !== undefined, name);
  return found;
}

test("the doors of this package are there", async () => {
  const rows = await inspectDoors(home, agent);
  assert.deepEqual(
    rows.map(({ name, status }) => `${name} ${status}`),
    ["jobs info", "events ok", "ssh ok", "mcp ok", "dashboard ok"],
  );
  assert.match(rows[2]?.detail ?? "", /^OpenSSH_\S+.*; 0 host keys, 0 authorized keys$/);
});

test("keys that others can read, or that are damaged, are told of, with what to do", async () => {
  const key = hostKeyPath(sandboxPaths(home, "one").directory);
  await readHostKey(key);
  assert.match((await row("ssh")).detail, /; 1 host key, /);
  chmodSync(key, 0o644);
  const { status, detail, fix } = await row("ssh");
  assert.equal(status, "warning");
  assert.match(detail, /can be read or changed by others/);
  assert.ok(fix.includes(`chmod 600 ${key}`));
  chmodSync(key, 0o600);
  const authorized = authorizedKeysPath(home.root);
  mkdirSync(dirname(authorized), { recursive: true });
  writeFileSync(authorized, "");
  chmodSync(authorized, 0o666);
  assert.match((await row("ssh")).fix, /chmod go-w/);
});

test("jobs are counted, and a damaged list of them is named", async () => {
  const { jobs } = sandboxPaths(home, "one");
  writeFileSync(jobs, "{");
  assert.deepEqual((await row("jobs")).status, "warning");
  assert.ok((await row("jobs")).detail.includes(jobs));
});

test("an agent without events is told of", async () => {
  const old = join(directory, "agent");
  writeFileSync(old, "an agent");
  assert.equal((await row("events", old)).status, "warning");
  assert.equal((await row("events", null)).status, "warning");
});
