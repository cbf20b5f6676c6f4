import * as v from "valibot";
import type { WebSocket } from "ws";
import { failureOf } from "../failure.ts";
import type { LiveAnswer, LiveRequest, Topic } from "../wire.ts";
import { watchLogs } from "./log-feed.ts";
import { watchNetwork } from "./network-feed.ts";
import { Pace } from "./pace.ts";
import { watchProgress } from "./progress.ts";
import type { SandboxBoard } from "./sandbox-board.ts";

const withId = v.strictObject({ id: v.string() });
const named = v.strictObject({ name: v.string() });
const request: v.GenericSchema<unknown, LiveRequest> = v.union([
  v.strictObject({
    watch: v.number(),
    topic: v.picklist(["sandboxes", "logs", "network", "progress"]),
    args: v.unknown(),
  }),
  v.strictObject({ unwatch: v.number() }),
]);

/** What a page may watch at a time. */
const mostFeeds = 64;

/** Serves the WebSocket over which a page is told what goes on. */
export function serveLive(socket: WebSocket, board: SandboxBoard): void {
  const feeds = new Map<number, AbortController>();
  const pace = new Pace(socket);
  const send = (answer: LiveAnswer): void => {
    if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(answer));
  };
  const begin = async (id: number, topic: Topic, args: unknown): Promise<void> => {
    const over = new AbortController();
    feeds.set(id, over);
    const { signal } = over;
    const tell = async (news: unknown): Promise<void> => {
      if (signal.aborted) return;
      send({ id, news });
      await pace.ready(signal);
    };
    try {
      if (topic === "sandboxes") await board.watch(tell, signal);
      else if (topic === "logs") await watchLogs(v.parse(named, args), tell, signal);
      else if (topic === "progress") await watchProgress(v.parse(withId, args), tell, signal);
      else await watchNetwork(v.parse(named, args), tell, signal);
      send({ id, end: null });
    } catch (error) {
      if (!signal.aborted) send({ id, end: failureOf(error) });
    } finally {
      if (feeds.get(id) === over) feeds.delete(id);
    }
  };
  socket.on("message", (data, isBinary) => {
    const asked = isBinary || !Buffer.isBuffer(data) ? null : parse(data.toString("utf8"));
    if (asked === null || feeds.size >= mostFeeds) {
      socket.close(1008, "not understood");
      return;
    }
    if ("unwatch" in asked) feeds.get(asked.unwatch)?.abort();
    else if (!feeds.has(asked.watch)) void begin(asked.watch, asked.topic, asked.args);
  });
  socket.on("close", () => {
    for (const over of feeds.values()) over.abort();
  });
}

function parse(text: string): LiveRequest | null {
  try {
    return v.parse(request, JSON.parse(text));
  } catch {
    return null;
  }
}
