import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { before, test } from "node:test";
import { authorize } from "../../../src/api/ssh/msb-ssh.ts";
import { Sandbox, SandboxFsError } from "../../../src/index.ts";
import { MsbHome } from "../cli/cli-support.ts";
import { Terminal } from "../cli/terminal-support.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import { clientOptions, newClientKey, runHost } from "./ssh-support.ts";

export const needs: Needs = ["running", "ssh"];

const home = useTemporaryHome();
const msb = new MsbHome({ path: home });
let sandbox: Sandbox;
before(async () => {
  sandbox = await Sandbox.builder("demo").image("localhost/base").create();
});

test("ssh reaches a sandbox with nothing but what msb ssh config has printed", async () => {
  const key = await newClientKey();
  const publicKey = readFileSync(`${key}.pub`, "utf8");
  const given = [
    [["--key", publicKey], "", "Authorized 1 key.\n"],
    [["--stdin"], publicKey, "Authorized already.\n"],
    [["--file", `${key}.pub`], "", "Authorized already.\n"],
  ] as const;
  for (const [args, stdin, said] of given) {
    const { code, stderr } = await msb.start(["ssh", "authorize", ...args], stdin).result;
    assert.deepEqual([code, stderr], [0, said]);
  }
  const config = join(home, "ssh_config");
  writeFileSync(config, (await msb.start(["ssh", "config", "demo"]).result).stdout);
  const options = ["-F", config, "-i", key, "-o", "IdentitiesOnly=yes"];
  const { stdout, ...rest } = await runHost(
    "ssh",
    [...options, "msb-demo", "hostname; cat; exit 4"],
    "typed",
  );
  assert.deepEqual({ stdout, ...rest }, { code: 4, stdout: "demo\ntyped", stderr: "" });
});

test("msb ssh runs a line, with input, outputs and exit code", async () => {
  const line = ["ssh", "demo", "--", "pwd;", "cat", "&&", "echo no >&2;", "exit 6"];
  // More than one packet, and more than a window of the client's.
  const typed = "typed\n".repeat(500_000);
  const { code, stdout, stderr } = await msb.start(line, typed).result;
  assert.deepEqual({ code, stderr }, { code: 6, stderr: "no\n" });
  assert.ok(stdout === `/root\n${typed}`);
  const refused = await msb.start(["ssh", "--name", "demo", "--user", "eve", "--", "id"]).result;
  assert.ok(refused.code === 1 && refused.stderr.includes('user "eve" was refused'), refused.stderr);
});

test("msb ssh opens a shell on this terminal, and the detach keys leave it", async () => {
  const first = `"$NODE" "$MSB" ssh demo; echo "left $?"`;
  const second = `"$NODE" "$MSB" ssh connect -u nobody --no-inactivity-timeout --name demo; echo "ended $?"`;
  using terminal = new Terminal(`${first}; ${second}`, msb.environment, { cols: 91, rows: 17 });
  await terminal.shows(/# /);
  terminal.type("stty size; exec sleep 2999\r");
  await terminal.shows(/17 91\n/);
  terminal.type("\x1d");
  await terminal.shows(/the shell keeps running in demo.*\n+left 0/);
  assert.equal((await sandbox.shell("pkill -x sleep || kill $(pidof sleep)")).code, 0);
  await terminal.shows(/\$ /);
  terminal.type("id -un; exit 5\r");
  await terminal.shows(/nobody\n/);
  await terminal.shows(/ended 5/);
});

test("msb ssh serve listens on a port until it is interrupted, and obeys its options", async () => {
  const key = await newClientKey();
  await authorize(readFileSync(`${key}.pub`, "utf8"));
  const serving = msb.start(["ssh", "serve", "--port", "0", "--user", "nobody", "--no-sftp", "demo"], null);
  let said = "";
  serving.child.stderr?.on("data", (text: string) => (said += text));
  await serving.stderrHas("\n");
  const [, port = ""] = /^Serving SSH for demo on 127\.0\.0\.1:(\d+)\n$/.exec(said) ?? [];
  const options = clientOptions(key);
  const id = await runHost("ssh", [...options, "-p", port, "root@127.0.0.1", "id -un"]);
  assert.deepEqual(id, { code: 0, stdout: "nobody\n", stderr: "" });
  const files = await runHost("sftp", ["-b", "-", ...options, "-P", port, "root@127.0.0.1"], "ls\n");
  assert.notEqual(files.code, 0);
  serving.child.kill("SIGTERM");
  assert.equal((await serving.result).code, 143);
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
  const logged = (): number => statSync(join(home, "sandboxes/demo/logs/exec.log")).size;
  const before = logged();
  await using client = await sandbox.ssh().openClient();
  await using sftp = await client.sftp();
  const content = Buffer.alloc(24 * 1024 * 1024, "0123456789abcdef");
  await sftp.write("/tmp/large", content);
  assert.ok((await sftp.read("/tmp/large")).equals(content));
  assert.ok(logged() - before < 1024 * 1024, `${logged() - before} bytes of log`);
});

test("the end of the sandbox ends its clients and servers", async () => {
  const client = await sandbox.ssh().openClient();
  const path = join(home, "demo.sock");
  const serving = msb.start(["ssh", "serve", "--socket", path, "-q", "demo"], null);
  const banner = await eventually("the server", async () => {
    const socket = connect(path);
    const [heard] = (await once(socket, "data").catch(() => [null])) as [Buffer | null];
    socket.destroy();
    return heard;
  });
  assert.match(String(banner), /^SSH-2\.0-microsandbox/);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await sandbox.stop();
  await client.close();
  assert.deepEqual(await serving.result, { code: 0, signal: null, stdout: "", stderr: "" });
});
