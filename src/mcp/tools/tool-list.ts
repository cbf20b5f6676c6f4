import type { Tool } from "../call/tool.ts";
import { makeTools } from "./sandbox/make-tools.ts";

/** All tools, in the order of the list that clients get. */
export const tools: readonly Tool[] = [...makeTools];
