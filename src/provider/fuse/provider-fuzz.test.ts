/**
 * A guest that sends whatever it likes, right and wrong, to a provider that does whatever it likes. `PROVIDER_FUZZ_SEED=…` replays a
 * run, `PROVIDER_FUZZ_ROUNDS` makes it longer.
 */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { test } from "node:test";
import { requestOf } from "../../../test/support/fuse-kernel.ts";
import { ProvidedMount } from "../../../test/support/provided-mount.ts";
import { opcodes } from "../../file-server/fuse/numbers.ts";
import { memory } from "../made/memory.ts";
import type { FileProvider } from "../file-provider.ts";

/** xorshift32 (Marsaglia, "Xorshift RNGs", 2003). */
function seeded(seed: number): (limit: number) => number {
  let state = seed | 0 || 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return Math.floor(((state >>> 0) / 2 ** 32) * limit);
  };
}

const operations = Object.keys(opcodes) as (keyof typeof opcodes)[];
const silent: readonly string[] = ["forget", "batchForget", "interrupt"];
const names = ["a", "b", "c", "..", "", "a/b", "\u{1f600}", "x".repeat(300), ".msb-removed-1"];
const numbers = [0, 1, 2, 3, 4, 5, 8, 4096, 0xffff, 0xffff_ffff];

type Random = (limit: number) => number;

function bodyOf(random: Random): Buffer {
  const parts: Buffer[] = [];
  for (let count = random(8); count > 0; count--) {
    const bytes = Buffer.alloc(random(2) === 0 ? 4 : 8);
    bytes.writeUInt32LE(numbers[random(numbers.length)] ?? 0);
    parts.push(bytes);
  }
  for (let count = random(3); count > 0; count--)
    parts.push(Buffer.from(names[random(names.length)] ?? ""), Buffer.alloc(random(8) === 0 ? 0 : 1));
  if (random(4) === 0) parts.push(Buffer.from(Array.from({ length: random(200) }, () => random(256))));
  return Buffer.concat(parts);
}

/** Does what it is asked, or something else. */
function unruly(random: Random): FileProvider {
  const real = memory({ maxBytes: 1 << 20, files: { "/a": "one", "/b/c": "two" } });
  return new Proxy(real, {
    get: (_target, key) => {
      const method: unknown = Reflect.get(real, key);
      if (typeof method !== "function") return method;
      return (...given: unknown[]): unknown => {
        switch (random(12)) {
          case 0:
            throw new Error("thrown");
          case 1:
            return Promise.reject(Object.assign(new Error("refused"), { code: "EACCES" }));
          case 2:
            return Promise.resolve([{ name: "a/b" }]);
          case 3:
            return setImmediate().then(() => Reflect.apply(method, real, given) as unknown);
          default:
            return Reflect.apply(method, real, given);
        }
      };
    },
  });
}

test("whatever the guest and the provider do, each request has one answer and little is held", async (t) => {
  const seed = Number(process.env["PROVIDER_FUZZ_SEED"] ?? 20240229);
  t.diagnostic(`PROVIDER_FUZZ_SEED=${seed}`);
  const random = seeded(seed);
  const rounds = Number(process.env["PROVIDER_FUZZ_ROUNDS"] ?? 20);
  for (let round = 0; round < rounds; round++) {
    using guest = new ProvidedMount(unruly(random));
    const answers: Promise<unknown>[] = [];
    let worked = 0;
    for (let each = 0; each < 300; each++) {
      const operation = operations[random(operations.length)] ?? "lookup";
      if (operation === "init" && random(20) > 0) continue;
      const message = requestOf(operation, random(12), bodyOf(random));
      if (silent.includes(operation)) guest.raw(message);
      else {
        answers.push(
          guest.answerTo(message).then((answer) => {
            if (answer.errno === 0) worked++;
            assert.ok(answer.errno >= 0 && answer.errno < 512);
          }),
        );
      }
      if (random(10) === 0) await setImmediate();
    }
    await Promise.all(answers);
    assert.deepEqual(guest.unexpected, []);
    assert.equal(guest.consumed, guest.sent);
    assert.ok(worked > 10, `${worked} of ${answers.length} worked`);
  }
});

test("what is no message ends the connection, and nothing else", () => {
  for (const length of [0, 39, (256 << 10) + 4097, 0xffff_ffff]) {
    using guest = new ProvidedMount(memory());
    const message = requestOf("getattr", 1, Buffer.alloc(16));
    message.writeUInt32LE(length, 4);
    assert.throws(() => guest.raw(message), /a message of/);
  }
});
