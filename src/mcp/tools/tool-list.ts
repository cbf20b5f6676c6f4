import type { Tool } from "../call/tool.ts";
import { runtimeTools } from "./runtime-tools.ts";
import { execTools } from "./sandbox/exec-tools.ts";
import { fsTools } from "./sandbox/fs-tools.ts";
import { lifeTools } from "./sandbox/life-tools.ts";
import { liveTools } from "./sandbox/live-tools.ts";
import { makeTools } from "./sandbox/make-tools.ts";
import { sessionTools } from "./sandbox/session-tools.ts";
import { watchTools } from "./sandbox/watch-tools.ts";
import { imageTools } from "./stored/image-tools.ts";
import { snapshotTools } from "./stored/snapshot-tools.ts";
import { volumeTools } from "./stored/volume-tools.ts";

/** All tools, in the order of the list that clients get. */
export const tools: readonly Tool[] = [
  ...runtimeTools,
  ...makeTools,
  ...lifeTools,
  ...execTools,
  ...sessionTools,
  ...watchTools,
  ...fsTools,
  ...liveTools,
  ...volumeTools,
  ...imageTools,
  ...snapshotTools,
];
