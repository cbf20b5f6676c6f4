/** Two gates as each other's guest, on cables that lose, double, overtake and hold up frames: all arrives, and nothing is left. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { rounds, seeded } from "../../../test/support/fuzz.ts";
import { TwoGates, User, type Weather } from "../../../test/support/tcp/two-gates.ts";
import { VirtualClock } from "../../../test/support/tcp/virtual-clock.ts";

const weathers: Readonly<Record<string, Weather>> = {
  "a good cable": { lost: 0, doubled: 0, delay: 1, congested: 0 },
  "a cable that is slow": { lost: 0, doubled: 0, delay: 1, congested: 30 },
  "a cable that loses": { lost: 10, doubled: 0, delay: 1, congested: 0 },
  "a cable that lets frames overtake": { lost: 0, doubled: 0, delay: 40, congested: 0 },
  "a bad cable": { lost: 8, doubled: 10, delay: 30, congested: 10 },
};

for (const [name, weather] of Object.entries(weathers))
  test(name, (context) => {
    const random = seeded(context);
    for (let round = 0; round < rounds(12); round++) {
      const clock = new VirtualClock();
      const mtu = [1500, 9000, 65_520][random(3)] ?? 1500;
      const memory = random(3) === 0 ? 200_000 : undefined;
      const gates = new TwoGates(clock, random, weather, mtu, memory);
      const pairs = Array.from({ length: 1 + random(4) }, () => {
        const sizes = [random(100), random(2) === 0 ? random(3000) : random(900_000)];
        const calling = new User(sizes[random(2)] ?? 0, random, clock);
        const called = new User(sizes[random(2)] ?? 0, random, clock);
        return { calling, called };
      });
      const ports = new Map(pairs.map(({ called }, index) => [index + 1, called]));
      gates.request = (request) => {
        const user = ports.get(request.remote.port);
        assert.ok(user !== undefined);
        clock.schedule(random(20), () => {
          if (user.connection === null) user.connection = request.accept(user);
          else request.refuse("drop");
        });
      };
      for (const [index, { calling }] of pairs.entries()) gates.connect(calling, index + 1);
      for (let step = 0; clock.skip(); step++) assert.ok(step < 2_000_000, "it comes to an end");
      for (const [index, { calling, called }] of pairs.entries()) {
        const what = `round ${round}, connection ${index}`;
        // Who hears too late that its FIN came meets an end that has forgotten it. What was sent is there all the same.
        const hows = weather.lost === 0 ? ["closed"] : ["closed", "reset"];
        for (const { how } of [calling, called])
          assert.ok(how !== null && hows.includes(how), `${what}: ${how}`);
        assert.deepEqual([calling.hasEnded, called.hasEnded], [true, true], what);
        assert.deepEqual([calling.received, called.received], [called.written, calling.written], what);
        for (const { how, acknowledgedBytes, written } of [calling, called])
          if (how === "closed") assert.equal(acknowledgedBytes, written, what);
      }
      const nothing = { peers: 0, halfOpen: 0, timeWait: 0 };
      assert.deepEqual([gates.here.counts, gates.there.counts, clock.timers], [nothing, nothing, 0]);
    }
  });
