import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { IpAddress } from "../../../host/ip/address.ts";
import { HostEcho } from "./host-echo.ts";

/** A program in the agent's place that answers each frame with itself, after it has said what is allowed. */
async function program(context: TestContext, greeting: string, rest = "exec cat"): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "host-echo-"));
  context.after(() => rm(directory, { recursive: true }));
  const path = join(directory, "agent");
  await writeFile(path, `#!/bin/sh\nprintf '${greeting}'\n${rest}\n`);
  await chmod(path, 0o700);
  return path;
}

const outside = IpAddress.parse("93.184.216.34") ?? assert.fail();
const outsideToo = IpAddress.parse("2606:2800:220:1::1") ?? assert.fail();

test("each answer finds who has asked", async (context) => {
  const echo = new HostEcho(await program(context, "\\001\\001"));
  context.after(() => {
    echo.close();
  });
  const ask = (address: IpAddress, text: string): Promise<string> =>
    new Promise((resolve) => {
      assert.ok(echo.ask(address, Buffer.from(text), (data) => resolve(data.toString())));
    });
  const texts = Array.from({ length: 100 }, (_, index) => `${index} `.repeat(index * 5));
  const answers = await Promise.all(
    texts.map((text, index) => ask(index % 2 === 0 ? outside : outsideToo, text)),
  );
  assert.deepEqual(answers, texts);
});

test("a host that allows one family only is known after the first word", async (context) => {
  const echo = new HostEcho(await program(context, "\\001\\000"));
  context.after(() => {
    echo.close();
  });
  await new Promise<void>((resolve) => {
    assert.ok(echo.ask(outside, Buffer.from("x"), () => resolve()));
  });
  assert.equal(
    echo.ask(outsideToo, Buffer.from("x"), () => assert.fail()),
    false,
  );
});

test("without the program nobody is asked", () => {
  assert.equal(
    new HostEcho(null).ask(outside, Buffer.from("x"), () => assert.fail()),
    false,
  );
});

test("more than a bounded number does not wait", async (context) => {
  const echo = new HostEcho(await program(context, "\\001\\001"));
  let answers = 0;
  await new Promise<void>((resolve) => {
    for (let count = 0; count < 1000; count++) {
      echo.ask(outside, Buffer.from("x"), () => {
        if (++answers === 256) resolve();
      });
    }
  });
  echo.close();
  assert.equal(
    echo.ask(outside, Buffer.from("x"), () => assert.fail()),
    false,
  );
});

test("more data than a frame has room for is not asked about", async (context) => {
  const echo = new HostEcho(await program(context, "\\001\\001"));
  context.after(() => {
    echo.close();
  });
  const ask = (bytes: number): Promise<number> =>
    new Promise((resolve, reject) => {
      if (!echo.ask(outsideToo, Buffer.alloc(bytes), (data) => resolve(data.length))) reject(new Error("no"));
    });
  await assert.rejects(ask(65_518));
  assert.equal(await ask(65_517), 65_517);
});

test("a program that ends before it has said anything is not started by each request", async (context) => {
  const path = await program(context, "", 'echo >> "$0.starts"');
  const echo = new HostEcho(path);
  const isAsked = (): boolean => echo.ask(outside, Buffer.from("x"), () => assert.fail());
  assert.ok(isAsked());
  while (isAsked()) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(isAsked(), false);
  assert.equal(await readFile(`${path}.starts`, "utf8"), "\n");
});

test("a host that is out of descriptors pings again when it has some", async (context) => {
  const script = `
    const { closeSync, openSync } = await import("node:fs");
    const { HostEcho } = await import(${JSON.stringify(new URL("host-echo.ts", import.meta.url).href)});
    const { IpAddress } = await import(${JSON.stringify(new URL("../../../host/ip/address.ts", import.meta.url).href)});
    const outside = IpAddress.parse("93.184.216.34");
    const echo = new HostEcho(process.argv[1]);
    const opened = [];
    try { for (;;) opened.push(openSync("/dev/null")); } catch {}
    echo.ask(outside, Buffer.from("lost"), () => undefined);
    await new Promise((resolve) => setImmediate(resolve));
    opened.forEach((fd) => closeSync(fd));
    const isAsked = echo.ask(outside, Buffer.from("x"), (data) => { console.log(String(data)); echo.close(); });
    if (!isAsked) console.log("not asked");
  `;
  const limited = 'ulimit -n 64; exec "$@"';
  const node = [process.execPath, "--input-type=module", "--eval", script];
  const args = ["-c", limited, "sh", ...node, await program(context, "\\001\\001")];
  const { stdout } = await promisify(execFile)("/bin/sh", args, { env: {} });
  assert.equal(stdout, "x\n");
});
