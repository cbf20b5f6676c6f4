import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ServedDirectory } from "../../test/support/served-directory.ts";
import { errno } from "./fuse/numbers.ts";
import { usedBytes } from "./used-bytes.ts";

const file = 4096;

test("whatever a guest has made is counted, and once it is there it can be mounted again", (t) => {
  const host = mkdtempSync(join(tmpdir(), "msb-used-"));
  t.after(() => execFileSync("rm", ["-rf", host]));
  writeFileSync(join(host, "file"), "x".repeat(1000));
  symlinkSync("/etc", join(host, "link"));
  assert.equal(usedBytes(host), 2 * file + 1000);
  // Names of any bytes, of a file and of a directory with something in it.
  const odd = Buffer.concat([Buffer.from(`${host}/`), Buffer.from([0xff, 0xfe])]);
  writeFileSync(odd, "x".repeat(10));
  const directory = Buffer.concat([odd, Buffer.from("d")]);
  mkdirSync(directory);
  writeFileSync(Buffer.concat([directory, Buffer.from("/in")]), "x".repeat(100));
  const before = 2 * file + 1000 + (file + 10) + file + (file + 100);
  assert.equal(usedBytes(host), before);
  // Deeper than a path may be long, and than there may be files open.
  const deep = `
    process.chdir(process.argv[1]);
    for (let each = 0; each < 3000; each++) {
      fs.mkdirSync("d".repeat(50));
      process.chdir("d".repeat(50));
    }
    fs.writeFileSync("end", "x".repeat(7));`;
  execFileSync(process.execPath, ["-e", deep, host]);
  const open = readdirSync("/proc/self/fd").length;
  assert.equal(usedBytes(host), before + 3000 * file + file + 7);
  assert.equal(readdirSync("/proc/self/fd").length, open, "directories are left open");

  using guest = new ServedDirectory(host, { quotaBytes: before + 3001 * file + 7, quotaCountsAll: true });
  assert.equal(guest.served.quota.left, 0);
  const { id, handle } = {
    id: guest.lookup(1, "file").id,
    handle: guest.open(guest.lookup(1, "file").id, 1),
  };
  assert.equal(guest.write(id, handle, "y", 1000).errno, errno.nospc);
});

test("what may not be read is not counted, and ends nothing", (t) => {
  const host = mkdtempSync(join(tmpdir(), "msb-used-"));
  t.after(() => execFileSync("rm", ["-rf", host]));
  for (const name of ["a/in", "b/in", "c/in"]) mkdirSync(join(host, name), { recursive: true });
  for (const name of ["a", "b", "c"]) writeFileSync(join(host, name, "file"), "x".repeat(1000));
  execFileSync("chmod", ["755", host]);
  execFileSync("chmod", ["444", join(host, "a")]);
  execFileSync("chmod", ["000", join(host, "b")]);
  const script = `
    if (process.getuid() === 0) { process.setgid(65534); process.setuid(65534); }
    const { usedBytes } = await import(${JSON.stringify(join(import.meta.dirname, "used-bytes.ts"))});
    console.log(usedBytes(${JSON.stringify(host)}));`;
  const counted = execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  execFileSync("chmod", ["-R", "755", host]);
  assert.equal(Number(counted), 3 * file + file + (file + 1000));
});
