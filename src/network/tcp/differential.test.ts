/**
 * The kernel's TCP and ours see the same peer, segment by segment, and must agree about what is delivered, and when. The kernel is in a
 * network namespace with a TAP device.
 */
import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import { pick, rounds, seeded, type Random } from "../../../test/support/fuzz.ts";
import {
  KernelStack,
  OurStack,
  type ScriptedStack,
  type UserAction,
} from "../../../test/support/tcp/scripted-stacks.ts";

/** What the peer does; numbers are relative to the first ones of both sides. */
type Step =
  | {
      readonly flags: string;
      readonly sequence: number;
      readonly ack: number;
      readonly window: number;
      readonly bytes: number;
      readonly variant: number;
    }
  | UserAction;

const peerBegins = 0x7fff_ff00;

/** Bytes of the peer at a place; of another variant, other ones: a sender that lies when it sends again. */
function bytesAt(place: number, count: number, variant: number): Buffer {
  const bytes = Buffer.alloc(count);
  for (let index = 0; index < count; index++) bytes[index] = ((place + index) * 7 + variant * 13) & 0xff;
  return bytes;
}

/** Mostly sensible, with everything in it that a peer may do, and much that it may not. */
function randomSteps(random: Random): Step[] {
  const steps: Step[] = [];
  let next = 1;
  let written = 0;
  let hasEnded = false;
  let old = 0;
  const segment = (
    flags: string,
    sequence: number,
    bytes = 0,
    ack = 1,
    variant = 0,
    window?: number,
  ): void => {
    steps.push({
      flags,
      sequence,
      ack,
      window: window ?? pick(random, [65_535, 65_535, 8000, 0]),
      bytes,
      variant,
    });
  };
  for (let count = 2 + random(18); count > 0; count--) {
    const ack = pick(random, [1, 1, 1 + written, 1 + written + (hasEnded ? 1 : 0), 1 + random(written + 1)]);
    const bytes = 1 + random(pick(random, [10, 300, 1460]));
    switch (random(15)) {
      case 0:
      case 1:
      case 2:
      case 3:
        segment("A", next, bytes, ack);
        next += bytes;
        break;
      case 4:
      case 5:
        // Too early, some of it overlapping with what came too early before.
        segment("A", next + random(4000), bytes, ack, random(3));
        break;
      case 6:
        // Old at least in part. What is old as a whole has a window of its own only for Linux, which is laxer there than RFC 9293.
        old = Math.min(1 + random(1400), next - 1);
        if (random(2) === 0) segment("A", next - old, Math.min(old + bytes, 1460), ack, random(3));
        else segment("A", next - old, random(Math.max(1, old)), 1, random(3), 65_535);
        break;
      case 7:
        segment("A", next, 0, pick(random, [ack, 100_000, -100_000, -1, 2 ** 30]));
        break;
      case 8:
        segment("A", next + pick(random, [-70_000, 70_000, 200_000, 2 ** 31 - 5]), bytes, ack);
        break;
      case 9:
        segment("FA", next + pick(random, [0, 0, 0, 500]), random(2) * bytes, ack);
        break;
      case 10:
        segment("R", next + pick(random, [0, 1, 5000, -1, 300_000, 2 ** 30]));
        break;
      case 11:
        segment(pick(random, ["S", "SA"]), pick(random, [0, next, next + 100, next + 200_000]), 0, ack);
        break;
      case 12:
        segment(pick(random, ["", "P", "F", "SF", "SR", "SFA", "FR"]), next + random(2), bytes, ack);
        break;
      case 13: {
        const size = 1 + random(2000);
        if (!hasEnded) written += size;
        steps.push({ action: "write", count: size });
        break;
      }
      default:
        if (random(3) === 0) {
          hasEnded = true;
          steps.push({ action: "end" });
        }
    }
  }
  return steps;
}

function digest(data: Buffer): string {
  return hash("sha256", data, "hex").slice(0, 8);
}

/** @returns after each step, what was read and how the connection stands */
async function play(stack: ScriptedStack, port: number, steps: readonly Step[]): Promise<string[]> {
  const history: string[] = [];
  const send = (flags: string, sequence: number, ack: number, window: number, data: Buffer): Promise<void> =>
    stack.send({
      port,
      flags,
      sequence: peerBegins + sequence,
      acknowledgment: flags.includes("A") ? (stack.firstSequence(port) ?? 0) + ack : 0,
      window,
      data,
    });
  await send("S", 0, 0, 65_535, Buffer.alloc(0));
  await send("A", 1, 1, 65_535, Buffer.alloc(0));
  for (const step of steps) {
    const isUser = "action" in step;
    if (!isUser)
      await send(
        step.flags,
        step.sequence,
        step.ack,
        step.window,
        bytesAt(step.sequence, step.bytes, step.variant),
      );
    const { data, state } = await stack.user(port, isUser ? step : { action: "read" });
    history.push(
      `${isUser ? step.action : `${step.flags} ${step.sequence}(${step.bytes})`}: ${data.length} bytes, ${digest(data)}, ${state}`,
    );
  }
  await stack.user(port, { action: "drop" });
  return history;
}

test("the kernel and we deliver the same", async (context) => {
  const random = seeded(context);
  await using kernel = await KernelStack.start();
  await using ours = new OurStack();
  let port = 10_000;
  for (let round = 0; round < rounds(150); round++) {
    const steps = randomSteps(random);
    let expected: string[] = [];
    // After 200 ms the kernel takes for lost what was not acknowledged, and sends less: on a busy host, once more.
    for (let tries = 0, isLate = true; isLate && tries < 20; tries++) {
      const begun = performance.now();
      expected = await play(kernel, ++port, steps);
      isLate = performance.now() - begun > 150;
    }
    const actual = await play(ours, port, steps);
    assert.deepEqual(
      actual,
      expected,
      `round ${round}:\n${steps.map((step) => JSON.stringify(step)).join("\n")}\nthe kernel:\n${expected.join("\n")}\nours:\n${actual.join("\n")}`,
    );
  }
});
