import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { IpAddress } from "../../../host/ip/address.ts";
import { HostEcho } from "./host-echo.ts";

/** A program in the agent's place that answers each frame with itself, after it has said what is allowed. */
async function program(context: TestContext, greeting: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "host-echo-"));
  context.after(() => rm(directory, { recursive: true }));
  const path = join(directory, "agent");
  await writeFile(path, `#!/bin/sh\nprintf '${greeting}'\nexec cat\n`);
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
