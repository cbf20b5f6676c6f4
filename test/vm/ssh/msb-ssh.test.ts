import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { Sandbox, SandboxFsError } from "../../../src/index.ts";
import { MsbHome } from "../cli/cli-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import { newClientKey, said } from "./ssh-support.ts";

export const needs: Needs = ["running", "ssh"];

const home = useTemporaryHome();
const msb = new MsbHome({ path: home });
let sandbox: Sandbox;
before(async () => {
  sandbox = await Sandbox.builder("demo").image("localhost/base").create();
});

test("ssh reaches a sandbox with nothing but what msb ssh config has printed", async () => {
  const key = await newClientKey();
  const { code, stderr } = await msb.start(["ssh", "authorize", "--file", `${key}.pub`]).result;
  assert.deepEqual([code, stderr], [0, "Authorized 1 key.\n"]);
  const config = join(home, "ssh_config");
  writeFileSync(config, (await msb.start(["ssh", "config", "demo"]).result).stdout);
  const options = ["-F", config, "-i", key, "-o", "IdentitiesOnly=yes"];
  const { stdout, ...rest } = await said("ssh", [...options, "msb-demo", "hostname; cat; exit 4"], "typed");
  assert.deepEqual({ stdout, ...rest }, { code: 4, stdout: "demo\ntyped", stderr: "" });
});

test("msb ssh runs a line, with input, outputs and exit code", async () => {
  const line = ["ssh", "demo", "--", "pwd;", "cat", "&&", "echo no >&2;", "exit 6"];
  const { code, stdout, stderr } = await msb.start(line, "typed\n").result;
  assert.deepEqual({ code, stdout, stderr }, { code: 6, stdout: "/root\ntyped\n", stderr: "no\n" });
  const refused = await msb.start(["ssh", "--name", "demo", "--user", "eve", "--", "id"]).result;
  assert.ok(refused.code === 1 && refused.stderr.includes('user "eve" was refused'), refused.stderr);
});

test("a copy of a sandbox has a host key of its own", async () => {
  const copy = await sandbox.fork("copy");
  for (const each of [sandbox, copy]) await (await each.ssh().prepareServer()).close();
  const [own, other] = ["demo", "copy"].map((name) => join(home, "sandboxes", name, "ssh/host_ed25519"));
  assert.ok(own !== undefined && other !== undefined);
  assert.notEqual(readFileSync(own, "utf8"), readFileSync(other, "utf8"));
  assert.equal(statSync(own).mode & 0o777, 0o600);
  await copy.stop();
});

test("a client in this process runs commands and has files, as its user", async () => {
  await using client = await sandbox.ssh().openClient({ user: "nobody" });
  const { status, stdout, stderr } = await client.exec("id -un; tty; kill -TERM $$");
  assert.deepEqual([status, String(stdout), String(stderr)], [143, "nobody\nnot a tty\n", ""]);
  assert.match(String((await client.exec("tty", { tty: true })).stdout), /^\/dev\/pts\/\d+\r\n$/);
  await using sftp = await client.sftp();
  await assert.rejects(sftp.write("/root/x", "x"), (error) => {
    assert.ok(error instanceof SandboxFsError);
    return error.errnoName === "EACCES";
  });
  await sftp.mkdir("/tmp/d");
  await sftp.write("/tmp/d/f", "content");
  await sftp.rename("/tmp/d/f", "/tmp/d/g");
  await sftp.symlink("g", "/tmp/d/link");
  assert.equal(await sftp.readLink("/tmp/d/link"), "g");
  assert.equal(await sftp.realPath("/tmp/d/link"), "/tmp/d/g");
  assert.equal(String(await sftp.read("/tmp/d/link")), "content");
  assert.equal((await sandbox.fs().stat("/tmp/d/g")).uid, 65_534);
  await assert.rejects(sftp.removeDir("/tmp/d"), SandboxFsError);
  for (const name of ["link", "g"]) await sftp.removeFile(`/tmp/d/${name}`);
  await sftp.removeDir("/tmp/d");
});

test("much passes through SFTP without being held, and without being logged", async () => {
  await using client = await sandbox.ssh().openClient();
  await using sftp = await client.sftp();
  const content = Buffer.alloc(24 * 1024 * 1024, "0123456789abcdef");
  await sftp.write("/tmp/large", content);
  assert.ok((await sftp.read("/tmp/large")).equals(content));
  const log = statSync(join(home, "sandboxes/demo/logs/exec.log"));
  assert.ok(log.size < 1024 * 1024, `${log.size} bytes of log`);
});

test("the end of the sandbox ends its clients", async () => {
  const client = await sandbox.ssh().openClient();
  await sandbox.stop();
  await client.close();
});
