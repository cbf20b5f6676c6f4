import { Sandbox } from "../../api/index.ts";
import type { Decision } from "../wire.ts";
import { Decisions } from "./decisions.ts";
import type { Feed } from "./feed.ts";

/** Of what is logged already, so many decisions are told. */
const mostHistory = 500;
/** Decisions are told together that come within so many ms; at most the last so many. */
const gatherMs = 200;

/** Tells what the network of a sandbox has decided, then what it decides, until the sandbox ends. */
export const watchNetwork: Feed<"network"> = async ({ name }, tell, signal) => {
  const handle = await Sandbox.get(name);
  const decisions = new Decisions();
  let waiting: Decision[] = [];
  let timer: NodeJS.Timeout | null = null;
  let telling = Promise.resolve();
  const flush = (): Promise<void> => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    const news = waiting.slice(-mostHistory);
    waiting = [];
    if (news.length > 0) telling = telling.then(() => tell(news));
    return telling;
  };
  for await (const event of handle.networkEvents({ follow: true, signal })) {
    const decision = decisions.of(event);
    if (decision === null) continue;
    waiting.push(decision);
    if (waiting.length > 2 * mostHistory) waiting = waiting.slice(-mostHistory);
    timer ??= setTimeout(() => void flush(), gatherMs);
    await telling;
  }
  await flush();
};
