import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { dialDirectly, type Dialed } from "./dial.ts";

/** Listens and accepts nothing: the kernel takes two connections, and does not answer the next. */
const silent = `
  const server = require("node:net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
    require("node:fs").writeSync(1, String(server.address().port));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });
`;

test("a server that does not answer is given up after half a minute", async (context) => {
  const child = spawn(process.execPath, ["--eval", silent], { stdio: ["ignore", "pipe", "inherit"] });
  context.after(() => child.kill("SIGKILL"));
  const [text] = (await once(child.stdout, "data")) as [Buffer];
  const target = { host: "127.0.0.1", family: 4, port: Number(text.toString()) } as const;
  const fill = [1, 2].map(() => connect(target.port, target.host).on("error", () => undefined));
  context.after(() => fill.forEach((socket) => socket.destroy()));
  await Promise.all(fill.map((socket) => once(socket, "connect")));
  context.mock.timers.enable({ apis: ["setTimeout"] });
  let dialed: Dialed | null = null;
  context.after(
    dialDirectly([target], (how) => {
      dialed = how;
    }),
  );
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  context.mock.timers.tick(29_999);
  for (let count = 0; count < 20; count++) await turn();
  assert.equal(dialed, null);
  context.mock.timers.tick(1);
  for (let count = 0; count < 20; count++) await turn();
  assert.deepEqual(dialed, { failure: "timeout" });
});
