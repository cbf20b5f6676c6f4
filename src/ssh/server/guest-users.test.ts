import assert from "node:assert/strict";
import { test } from "node:test";
import { FramedOutput } from "./connect-frames.ts";
import { findUser } from "./guest-users.ts";

const users =
  "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nbad:x:7:7::relative:/\n:x:8:8::/h:/\n";

test("users are found by name and by number, with their home", () => {
  assert.deepEqual(findUser("ann", users), { spec: "ann", name: "ann", home: "/home/ann" });
  assert.deepEqual(findUser("1000:5", users), { spec: "1000:5", name: "ann", home: "/home/ann" });
  assert.deepEqual(findUser("4242", users), { spec: "4242", name: "4242", home: "/" });
  assert.deepEqual(findUser("root", ""), { spec: "root", name: "root", home: "/" });
  assert.equal(findUser("bad", users)?.home, "/");
  for (const nobody of ["", "eve", "an", "ann\n", "-1"]) assert.equal(findUser(nobody, users), null, nobody);
});

test("frames arrive in any pieces", async () => {
  const bytes = Buffer.from("0000000000000003616263000000000000000164", "hex");
  for (let size = 1; size <= bytes.length; size++) {
    const pieces: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
    const output = new FramedOutput({
      recv: async () => {
        const data = pieces.shift();
        return data === undefined ? null : { kind: "stdout", data };
      },
    });
    const heard: string[] = [];
    for (let frame = await output.next(); frame !== null; frame = await output.next())
      heard.push(String(frame));
    assert.deepEqual(heard, ["", "abc", "", "d"]);
  }
  const huge = new FramedOutput({ recv: async () => ({ kind: "stdout", data: Buffer.alloc(8, 0xff) }) });
  await assert.rejects(huge.next());
});
