import assert from "node:assert/strict";
import { access, mkdtemp, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { smallSha256 } from "../../host/digest.ts";
import { Operation } from "../../host/operation.ts";
import { packageVersion } from "../../host/package-files.ts";
import { locateHome, prepareHome } from "../../store/home.ts";
import {
  InvalidConfigError,
  LibkrunfwNotFoundError,
  QemuNotFoundError,
  UnsupportedOperationError,
  install,
  isInstalled,
  setup,
} from "../index.ts";
import { verifyGuestFiles, type Installation } from "./installation.ts";

// Needs the guest's files (`npm run build`) and QEMU.

let directory = "";
const before1 = { ...process.env };
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "install-"));
});
beforeEach(() => {
  process.env["MSB_HOME"] = join(directory, "home");
  delete process.env["MSB_QEMU"];
});
after(async () => {
  for (const name of ["MSB_HOME", "MSB_QEMU"]) {
    if (before1[name] === undefined) Reflect.deleteProperty(process.env, name);
    else process.env[name] = before1[name];
  }
  await rm(directory, { recursive: true, force: true });
});

test("what is there is installed, and without QEMU it is not", async () => {
  assert.equal(isInstalled(), true);
  process.env["MSB_QEMU"] = join(directory, "no-qemu");
  assert.equal(isInstalled(), false);
  await assert.rejects(install(), QemuNotFoundError);
  process.env["MSB_QEMU"] = "no-such-qemu";
  assert.equal(isInstalled(), false);
});

test("an installation makes the home and remembers what it found good", async () => {
  process.env["MSB_HOME"] = join(directory, "new");
  const home = locateHome();
  await setup().skipVerify().install();
  await access(home.sandboxes);
  const record = join(home.cache, "installed.json");
  await assert.rejects(access(record));
  await install();
  const { mtimeMs } = await stat(record);
  await install();
  assert.equal((await stat(record)).mtimeMs, mtimeMs);
});

test("an installation may be elsewhere, but of no other version", async () => {
  const elsewhere = join(directory, "elsewhere");
  await setup().baseDir(elsewhere).version(packageVersion()).skipVerify().install();
  await access(join(elsewhere, "sandboxes"));
  await assert.rejects(setup().version("0.0.1").install(), UnsupportedOperationError);
  assert.throws(() => setup().baseDir(""), InvalidConfigError);
  assert.throws(() => setup().force("yes" as never), InvalidConfigError);
  await assert.rejects(install({ force: true } as never), InvalidConfigError);
  const controller = new AbortController();
  controller.abort(new Error("not now"));
  await assert.rejects(install({ signal: controller.signal }), /not now/);
});

test("a file that is not what was built is named, whatever is wrong with it", async () => {
  const guest = await mkdtemp(join(directory, "guest-"));
  const home = locateHome({ MSB_HOME: join(directory, "verified") });
  await prepareHome(home);
  const content = "a kernel";
  const kernel = join(guest, "vmlinux");
  const manifest = { files: { vmlinux: { sha256: smallSha256(content), bytes: content.length } } };
  const verify = (changes: Partial<Installation> = {}): Promise<void> => {
    const asked = { baseDir: null, version: null, skipVerify: false, force: false, ...changes };
    return Operation.run("verify", {}, (operation) => verifyGuestFiles(guest, home, asked, operation));
  };
  const isRefused = (path: string) => (error: unknown) =>
    error instanceof LibkrunfwNotFoundError && error.message.includes(path) && error.hint !== "";
  await assert.rejects(verify(), isRefused("guest.json"));
  await writeFile(join(guest, "guest.json"), JSON.stringify(manifest));
  await assert.rejects(verify(), isRefused(kernel));
  await writeFile(kernel, "a kern");
  await assert.rejects(verify({ skipVerify: true }), isRefused(kernel));
  await writeFile(kernel, content);
  await verify();

  // Changed behind the back of what is remembered: only who looks again finds it.
  const { mtime } = await stat(kernel);
  await writeFile(kernel, content.toUpperCase());
  await utimes(kernel, mtime, mtime);
  const { mtimeMs, ino } = await stat(kernel);
  const seen = [[kernel, content.length, mtimeMs, ino, smallSha256(content)].join(":")];
  await writeFile(join(home.cache, "installed.json"), `${JSON.stringify(seen)}\n`);
  await verify();
  await verify({ skipVerify: true });
  await assert.rejects(verify({ force: true }), isRefused(kernel));
  await utimes(kernel, 0, 0);
  await assert.rejects(verify(), isRefused(kernel));
  assert.match(await readFile(join(home.cache, "installed.json"), "utf8"), /vmlinux/);
});
