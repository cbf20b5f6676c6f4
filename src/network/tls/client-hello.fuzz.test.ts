import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import { createSecureContext, TLSSocket } from "node:tls";
import {
  extension,
  helloMessage,
  inRecords,
  nameEntry,
  vector,
} from "../../../test/support/client-hello-builder.ts";
import { chunks, mutate, pick, type Random, rounds, seeded } from "../../../test/support/fuzz.ts";
import type { ClientHelloResult } from "./client-hello-result.ts";
import { ClientHelloReader } from "./client-hello.ts";

function readInPieces(random: Random, bytes: Buffer): ClientHelloResult {
  const reader = new ClientHelloReader();
  let result: ClientHelloResult = { kind: "incomplete" };
  for (const piece of chunks(random, bytes)) result = reader.push(piece);
  return result;
}

/** A hello that is right, or about right: its parts are mixed first, then its bytes. */
function someHello(random: Random): Buffer {
  const name = (): Buffer => {
    const text = pick(random, [
      "good.example",
      "evil.example",
      "Evil.Example",
      "evil.example.",
      "a",
      "evil.example\0",
    ]);
    return nameEntry(text, random(30) === 0 ? 1 : 0);
  };
  const some = (): Buffer =>
    pick(random, [
      extension(0, vector(2, name())),
      extension(0x2a2a, Buffer.alloc(random(20))),
      extension(21, Buffer.alloc(random(1500))),
      extension(43, Buffer.from([2, 3, 3])),
    ]);
  const several = (): Buffer[] => Array.from({ length: pick(random, [0, 0, 0, 0, 0, 1, 2]) }, some);
  let message = helloMessage({
    names: pick(random, [
      name(),
      name(),
      name(),
      name(),
      name(),
      name(),
      name(),
      Buffer.concat([name(), name()]),
      null,
      Buffer.alloc(0),
    ]),
    before: several(),
    after: several(),
    sessionId: Buffer.alloc(random(20) === 0 ? 33 : 32, 5),
  });
  if (random(4) === 0) message = mutate(random, message);
  const records = inRecords(message, pick(random, [1 << 14, 1 << 14, 1 + random(300)]));
  const first =
    random(4) > 0 ? "" : pick(random, ["1603010000", "1503010002015a", "140303000101", "16030100"]);
  const bytes = Buffer.concat([Buffer.from(first, "hex"), records]);
  return random(4) === 0 ? mutate(random, bytes) : bytes;
}

/** The name that OpenSSL's server reads; null when it reads none. */
async function nameOfOpenssl(
  context: ReturnType<typeof createSecureContext>,
  hello: Buffer,
): Promise<string | null> {
  const [near, far] = duplexPair();
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const server = new TLSSocket(far, {
    isServer: true,
    secureContext: context,
    SNICallback: (name, callback) => {
      resolve(name);
      callback(new Error("enough"));
    },
  });
  for (const event of ["error", "close", "end"] as const) server.on(event, () => resolve(null));
  near.on("error", () => undefined);
  near.resume();
  near.end(hello);
  const name = await promise;
  server.destroy();
  near.destroy();
  return name;
}

test("no server reads a name that we do not", async (context) => {
  const random = seeded(context);
  const secureContext = createSecureContext({ minVersion: "TLSv1.2", maxVersion: "TLSv1.2" });
  const seen = { same: 0, refused: 0, none: 0 };
  for (let round = rounds(1500); round > 0; round--) {
    const bytes = someHello(random);
    const ours = readInPieces(random, bytes);
    const theirs = await nameOfOpenssl(secureContext, bytes);
    if (theirs === null) seen.none++;
    else if (ours.kind === "malformed") seen.refused++;
    else {
      const name = theirs.toLowerCase().replace(/\.$/, "");
      assert.equal(
        ours.kind === "hello" ? ours.name : ours.kind,
        name,
        `${bytes.toString("hex")}: the server reads ${theirs}`,
      );
      seen.same++;
    }
  }
  context.diagnostic(JSON.stringify(seen));
  // All three have to come, or the test says nothing.
  assert.ok(seen.same > 0 && seen.refused > 0 && seen.none > 0);
});

test("whatever comes, however it is cut, is read in one way, and nothing is thrown", (context) => {
  const random = seeded(context);
  const kinds = new Set<string>();
  for (let round = rounds(5000); round > 0; round--) {
    const bytes = mutate(random, someHello(random));
    const whole = new ClientHelloReader().push(bytes);
    assert.deepEqual(readInPieces(random, bytes), whole, bytes.toString("hex"));
    assert.deepEqual(readInPieces(random, bytes), whole, bytes.toString("hex"));
    kinds.add(whole.kind);
  }
  assert.equal(kinds.size, 4);
});
