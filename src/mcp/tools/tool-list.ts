import { InvalidConfigError } from "../../errors/index.ts";
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

/**
 * The tools that a server offers: those of the groups, which are beginnings of names, such as `sandbox`, `sandbox_fs` or `image_list`,
 * and the one that reads on in what they answer.
 *
 * @param groups null: all
 * @throws InvalidConfigError for one that no tool is of
 */
export function toolsOf(groups: readonly string[] | null): readonly Tool[] {
  if (groups === null) return tools;
  const isOf = ({ name }: Tool, group: string): boolean => name === group || name.startsWith(`${group}_`);
  const unknown = groups.filter((group) => !tools.some((tool) => isOf(tool, group)));
  if (unknown.length > 0) {
    throw new InvalidConfigError(`MICROSANDBOX_MCP_TOOLS names tools that are none: ${unknown.join(", ")}`, {
      hint: "Name tools or beginnings of names, with commas between: sandbox,image_list.",
    });
  }
  return tools.filter((tool) => tool.name === "output_read" || groups.some((group) => isOf(tool, group)));
}
