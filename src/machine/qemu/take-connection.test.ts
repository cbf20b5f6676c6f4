import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { Socket } from "node:net";
import { test } from "node:test";
import { RuntimeError } from "../../errors/index.ts";
import { takeConnection } from "./take-connection.ts";

test("a connection that was given away is read and written by who has it, and by nobody else", async () => {
  const child = spawn(
    process.execPath,
    [
      "-e",
      "process.on('SIGTERM', () => process.exit()); new (require('net').Socket)({ fd: 3 }).on('data', (text) => process.stdout.write(text))",
    ],
    {
      stdio: ["ignore", "pipe", "inherit", "pipe"],
    },
  );
  const exited = once(child, "exit");
  const fd = takeConnection(child, 3);
  assert.throws(() => takeConnection(child, 3), RuntimeError);
  const own = new Socket({ fd });
  own.write("hello");
  assert.ok(child.stdout);
  const [text] = (await once(child.stdout, "data")) as [Buffer];
  assert.equal(text.toString(), "hello");
  own.resume();
  child.kill();
  await Promise.all([exited, once(own, "close")]);
});
