import type { Failure, LiveAnswer, LiveRequest, Topic, Topics } from "../../wire.ts";
import { call, CallError } from "./call.ts";
import { token } from "./session.ts";
import { Store } from "./store.ts";

/** Whether the page is told what goes on: not while it has lost its server, and never with a wrong token. */
export const link: Store<"connecting" | "open" | "lost" | "refused"> = new Store<
  "connecting" | "open" | "lost" | "refused"
>("connecting");

export interface Watcher<Name extends Topic> {
  /** It begins, or begins anew: what was told before is told again. */
  begin(): void;
  news(news: Topics[Name]["news"]): void;
  /** Nothing more comes. */
  end?(failure: Failure | null): void;
}

interface Watching {
  readonly topic: Topic;
  readonly args: unknown;
  readonly watcher: Watcher<Topic>;
}

const longestWaitMs = 5000;
const watching = new Map<number, Watching>();
let lastId = 0;
let socket: WebSocket | null = null;
let waitMs = 250;

/** Watches something from now on, over however many connections. @returns what ends it */
export function watch<Name extends Topic>(
  topic: Name,
  args: Topics[Name]["args"],
  watcher: Watcher<Name>,
): () => void {
  const id = ++lastId;
  watching.set(id, { topic, args, watcher: watcher });
  if (socket === null) connect();
  else if (socket.readyState === WebSocket.OPEN) begin(id);
  return () => {
    if (watching.delete(id)) send({ unwatch: id });
  };
}

/** A WebSocket of the server's. The token goes where a page can put it: into no address. */
export function openSocket(path: string): WebSocket {
  return new WebSocket(`ws://${location.host}${path}`, ["msb", `msb.token.${token}`]);
}

function connect(): void {
  const made = openSocket("/live");
  socket = made;
  made.onopen = () => {
    waitMs = 250;
    link.set("open");
    for (const id of watching.keys()) begin(id);
  };
  made.onmessage = ({ data }) => {
    const answer = JSON.parse(String(data)) as LiveAnswer;
    const watched = watching.get(answer.id);
    if (watched === undefined) return;
    if ("news" in answer) {
      watched.watcher.news(answer.news as never);
      return;
    }
    watching.delete(answer.id);
    watched.watcher.end?.(answer.end);
  };
  made.onclose = () => void again();
}

/** The connection has ended, or there was none. */
async function again(): Promise<void> {
  try {
    await call("session.check", {});
    link.set("connecting");
  } catch (error) {
    if (error instanceof CallError && error.failure.code === "refused") {
      link.set("refused");
      return;
    }
    link.set("lost");
  }
  setTimeout(connect, waitMs);
  waitMs = Math.min(longestWaitMs, 2 * waitMs);
}

function begin(id: number): void {
  const watched = watching.get(id);
  if (watched === undefined) return;
  watched.watcher.begin();
  send({ watch: id, topic: watched.topic, args: watched.args });
}

function send(request: LiveRequest): void {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(request));
}
