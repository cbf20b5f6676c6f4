import assert from "node:assert/strict";
import { test } from "node:test";
import type { NetworkEventOptions, NetworkLogEvent } from "../../../api/index.ts";
import { printEvents } from "./print-events.ts";

/** What a running sandbox tells: what is there, and then nothing for as long as somebody follows. */
async function* told({ follow = false }: NetworkEventOptions): AsyncGenerator<NetworkLogEvent> {
  for (const count of [1, 2]) yield { kind: "lost", timestampMs: count * 1000, count };
  if (follow) await new Promise(() => undefined);
}

test("who follows until a time that is past sees what came before it", async (t) => {
  const printed: string[] = [];
  t.mock.method(process.stdout, "write", (text: string | Uint8Array) => {
    if (typeof text === "string" && text.includes("LOST")) printed.push(text);
    return true;
  });
  const none = { since: undefined, tail: undefined, grep: undefined, denied: false, json: false };
  await printEvents(
    { networkEvents: (options) => told(options ?? {}) as never },
    { ...none, follow: true, until: new Date(1500) },
  );
  assert.deepEqual(printed, ["1970-01-01T00:00:01.000Z LOST   1 event could not be kept\n"]);
});
