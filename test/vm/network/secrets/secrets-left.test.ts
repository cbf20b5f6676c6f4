import "../../../internet/namespace.ts";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdir, readFile, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { Sandbox } from "../../../../src/index.ts";
import { imageName } from "../../../internet/debian-tree.ts";
import { SecretServer, type SecretVisit } from "../../../internet/secret-server.ts";
import { MsbHome } from "../../cli/cli-support.ts";
import { Terminal } from "../../cli/terminal-support.ts";
import { processesGone, processOf, runProgram } from "../../lifecycle-support.ts";
import { eventually } from "../../support.ts";
import type { Needs } from "../../tags.ts";
import { furnish, said, useInternet } from "../network-support.ts";
import { LeakHunt } from "./leak-hunt.ts";

export const needs: Needs = ["running", "internet"];

// Secrets by `msb` on a terminal: asked for, changed, asked for again. And what of them is left when processes end or crash.

const timeout = 180_000;
const port = 8443;
const host = "api.example.com";
/** In all values, and in nothing else. */
const mark = randomBytes(12).toString("hex");
const { home, internet } = await useInternet();
const server = await SecretServer.start(internet.certificates, port);
after(() => server[Symbol.asyncDispose]());
const name = "asked";
/** Disks are searched elsewhere. */
const largest = 1 << 30;
let sandbox: Sandbox;

/** Runs `msb` with variables. @returns what it shows on either output, and its exit code */
async function run(variables: NodeJS.ProcessEnv, ...args: readonly string[]) {
  const msb = new MsbHome({ path: home });
  Object.assign(msb.environment, variables);
  const { code, stdout, stderr } = await msb.msb(...args);
  return { code, shown: stdout + stderr };
}

/** Runs `msb` on a terminal, answers its questions, and holds that no answer was shown. */
async function answer(command: string, answers: readonly (readonly [question: RegExp, value: string])[]) {
  using terminal = new Terminal(`"$NODE" "$MSB" ${command}; echo "code=$?"`, {
    ...new MsbHome({ path: home }).environment,
  });
  for (const [question, value] of answers) {
    await terminal.shows(question);
    terminal.type(`${value}\r`);
  }
  assert.equal((await terminal.shows(/code=(\d+)/))[1], "0", terminal.shown);
  for (const [, value] of answers) assert.ok(!terminal.shown.includes(value), "an answer was shown");
}

/** What the server was told by a request that names a variable, on a connection of its own; undefined: nothing. */
async function sent(variable: string, to = host): Promise<string | undefined> {
  server.take();
  await said(sandbox, `curl -sS --max-time 20 -H "Authorization: $${variable}" https://${to}:${port}/ 2>&1`);
  return server.take()[0]?.headers.authorization;
}

async function next(): Promise<SecretVisit> {
  return await eventually("a request", async () => server.take()[0] ?? null);
}

before(async () => {
  const tls = `--tls-intercept-port ${port} --tls-upstream-ca-cert ${internet.certificates.caFile}`;
  await answer(`create ${imageName} -n ${name} -m 512M -c 1 ${tls} --secret TYPED@${host}`, [
    [/The secret TYPED of asked: /, `typed-${mark}`],
  ]);
  sandbox = await (await Sandbox.get(name)).connect();
  await furnish(sandbox, internet, "two-requests.py");
});

test("what was typed for a new sandbox reaches the host, and is in no file", { timeout }, async () => {
  assert.equal(await sent("TYPED"), `typed-${mark}`);
  assert.deepEqual(await new LeakHunt(mark).files(join(home, "sandboxes"), { largest }), []);
});

test(
  "msb modify is for connections that come: one that there is keeps what it began with",
  { timeout },
  async () => {
    server.take();
    const program = await sandbox.execStreamWithConfig({
      cmd: "sh",
      args: ["-c", `exec python3 /tmp/two-requests.py ${host} ${port} "$TYPED"`],
      stdin: "pipe",
    });
    assert.equal((await next()).headers.authorization, `typed-${mark}`);
    const rotated = await run({ TYPED: `rotated-${mark}` }, "modify", name, "--secret", "TYPED");
    assert.equal(rotated.code, 0, rotated.shown);
    assert.match(rotated.shown, /TYPED\s+rotated.*live/);
    assert.ok(!rotated.shown.includes(mark));
    assert.equal(await sent("TYPED"), `rotated-${mark}`);
    const moved = await run(
      { TYPED: `rotated-${mark}` },
      "modify",
      name,
      "--secret",
      "TYPED@www.example.com",
    );
    assert.match(moved.shown, /hosts updated.*live/);
    assert.equal(await sent("TYPED"), undefined);
    assert.equal(await sent("TYPED", "www.example.com"), `rotated-${mark}`);
    await program.takeStdin()?.write("\n");
    const second = await next();
    assert.deepEqual([second.path, second.headers.authorization], ["/second", `typed-${mark}`]);
    assert.equal((await program.wait()).code, 0);
  },
);

test(
  "a new secret wants a restart, which wants all values, and is refused before anything is changed",
  { timeout },
  async () => {
    const spec = `NEW@${host}`;
    const [set, unset] = [{ NEW: `new-${mark}`, TYPED: `rotated-${mark}` }, { NEW: `new-${mark}` }];
    for (const [variables, more, message] of [
      [set, [], /a running guest cannot see/],
      [unset, ["--restart"], /TYPED is not set/],
    ] as const) {
      const { code, shown } = await run(variables, "modify", name, "--secret", spec, ...more);
      assert.equal(code, 1);
      assert.match(shown, message);
      assert.ok(!shown.includes(mark));
    }
    assert.equal(await said(sandbox, "echo $NEW"), "");
    const restarted = await run(set, "modify", name, "--secret", spec, "--restart");
    assert.match(restarted.shown, /NEW\s+added.*requires restart/);
    sandbox = await (await Sandbox.get(name)).connect();
    assert.equal(await said(sandbox, "echo $NEW"), "$MSB_NEW");
    assert.equal(await sent("NEW"), `new-${mark}`);
    assert.equal(await sent("TYPED", "www.example.com"), `rotated-${mark}`);
  },
);

test(
  "what a program leaves when it crashes in the guest has the placeholder alone",
  { timeout },
  async () => {
    const script = `cd /tmp && ulimit -c unlimited && echo core > /proc/sys/kernel/core_pattern; sh -c 'kill -SEGV $$'; ls core*`;
    const [core = ""] = (await said(sandbox, script)).split("\n").slice(-1);
    const content = await sandbox.fs().read(`/tmp/${core}`);
    assert.ok(new LeakHunt("$MSB_TYPED").has(content), `${content.length} bytes`);
    assert.ok(!new LeakHunt(mark).has(content));
  },
);

test(
  "a sandbox that was stopped is changed for its next start, which asks for what is not kept",
  { timeout },
  async () => {
    await sandbox.stop();
    const { shown } = await run(
      { TYPED: `other-${mark}` },
      "modify",
      name,
      "--secret",
      `TYPED@${host}`,
      "--secret-rm",
      "NEW",
    );
    assert.match(shown, /NEW\s+removed.*next start/);
    await answer(`start ${name}`, [[/The secret TYPED of asked: /, `again-${mark}`]]);
    sandbox = await (await Sandbox.get(name)).connect();
    assert.equal(await sent("TYPED"), `again-${mark}`);
    assert.equal(await said(sandbox, "echo $NEW"), "");
  },
);

test("a supervisor that crashes leaves no value, also where cores are written", { timeout }, async () => {
  const supervisor = await processOf(home, name, "supervisor");
  const hunt = new LeakHunt(mark);
  assert.ok((await hunt.memory(supervisor)).found, "not even where it has to be");
  const directory = await readlink(`/proc/${supervisor}/cwd`);
  await promisify(execFile)("prlimit", ["--pid", String(supervisor), "--core=unlimited:unlimited"]);
  process.kill(supervisor, "SIGSEGV");
  await processesGone(home, name);
  // Where the host's kernel gives cores to a program, that one gets no more than what is written here otherwise.
  const pattern = (await readFile("/proc/sys/kernel/core_pattern", "utf8")).trim();
  const cores = (await readdir(directory)).filter((file) => file.startsWith("core"));
  if (/^core/.test(pattern)) assert.equal(cores.length, 1);
  assert.deepEqual(await hunt.files(directory, { largest }), []);
});

test(
  "a program that has stopped its sandbox has no value any more in what it still refers to",
  { timeout },
  async (t) => {
    const [value, kept] = [`stored-${mark}`, randomBytes(12).toString("hex")];
    const [valuePath, snapshot] = [join(home, "value"), join(home, "program.heapsnapshot")];
    await writeFile(valuePath, JSON.stringify({ value, kept }), { mode: 0o600 });
    const program = runProgram(
      t,
      `import { readFileSync, rmSync } from "node:fs";
    import { writeHeapSnapshot } from "node:v8";
    const given = () => JSON.parse(readFileSync(${JSON.stringify(valuePath)}, "utf8"));
    globalThis.kept = given().kept;
    const sandbox = await Sandbox.builder("ended").image(${JSON.stringify(imageName)}).memory(512).cpus(1)
      .network((n) => n.tls((t) => t.interceptedPorts([${port}]).upstreamCaCert(${JSON.stringify(internet.certificates.caFile)})))
      .secretEnv("API_KEY", given().value, ${JSON.stringify(host)})
      .create();
    rmSync(${JSON.stringify(valuePath)});
    await sandbox.shell('curl -sS -H "Authorization: $API_KEY" https://${host}:${port}/');
    await sandbox.stop();
    globalThis.sandbox = sandbox;
    writeHeapSnapshot(${JSON.stringify(snapshot)});
    say("written");`,
    );
    server.take();
    assert.equal(await program.line(), "written");
    assert.equal(server.take()[0]?.headers.authorization, value);
    const content = await readFile(snapshot);
    assert.ok(new LeakHunt(kept).has(content), "what it refers to is not in there");
    assert.ok(!new LeakHunt(mark).has(content));
    await processesGone(home, "ended");
    assert.deepEqual(await new LeakHunt(mark).processes(), []);
  },
);
