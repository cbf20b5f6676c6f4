import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { Socket } from "node:net";
import { test } from "node:test";
import { RuntimeError } from "../../errors/index.ts";
import { leaveUnread, takeConnection } from "./take-connection.ts";

/** Writes a word at once, and what comes to its standard output. */
const echo = `
  const socket = new (require("net").Socket)({ fd: 3 });
  socket.write("first");
  socket.on("data", (text) => process.stdout.write(text));
`;

test("a connection is read and written by who has taken it, and by nobody else", async () => {
  const child = spawn(process.execPath, ["-e", echo], { stdio: ["ignore", "pipe", "inherit", "pipe"] });
  leaveUnread(child, 3);
  const exited = once(child, "exit");
  assert.ok(child.stdout);
  // The word is there, and the event loop has seen it.
  const said = once(child.stdout, "data");
  const fd = takeConnection(child, 3);
  assert.throws(() => takeConnection(child, 3), RuntimeError);
  const own = new Socket({ fd });
  assert.equal(String(await once(own, "data")), "first");
  own.write("hello");
  assert.equal(String(await said), "hello");
  child.kill();
  await Promise.all([exited, once(own, "close")]);
});

test("a connection that nobody takes is closed when the child ends", async () => {
  const child = spawn("/bin/sh", ["-c", "echo unread >&3"], {
    stdio: ["ignore", "ignore", "inherit", "pipe"],
  });
  leaveUnread(child, 3);
  await once(child, "close");
  assert.throws(() => takeConnection(child, 3), RuntimeError);
});
