import type { SandboxHandle } from "../../../api/index.ts";
import { ruleTokens } from "../../../config/network/policy/rule-text.ts";
import { OperationTimeoutError } from "../../../errors/index.ts";
import { NetworkEventText } from "./network-text.ts";
import { out } from "../../output/streams.ts";

export interface ShownEvents {
  readonly follow: boolean;
  readonly since: Date | undefined;
  readonly until: Date | undefined;
  /** Only the last so many of those that are there. */
  readonly tail: number | undefined;
  readonly grep: RegExp | undefined;
  readonly denied: boolean;
  readonly json: boolean;
}

/** Prints the events of a sandbox's network, a line for each. */
export async function printEvents(
  handle: Pick<SandboxHandle, "networkEvents">,
  { follow, since, until, tail, grep, denied, json }: ShownEvents,
): Promise<void> {
  const text = new NetworkEventText((policy, index) => {
    const rule = policy.rules[index];
    return rule === undefined ? "" : ruleTokens(rule).join(", ");
  });
  const begin = Date.now();
  const last: string[] = [];
  let isLive = tail === undefined;
  const show = (line: string): void => {
    if (isLive) out(line);
    else if (tail !== 0 && last.push(line) > (tail ?? 0)) last.shift();
  };
  const goLive = (): void => {
    isLive = true;
    out(last.splice(0).join(""));
  };
  // After that time nothing is waited for, and what came before it is there already.
  const isOver = until !== undefined && until.getTime() <= begin;
  const limit = until === undefined || !follow || isOver ? {} : { timeoutMs: until.getTime() - begin };
  try {
    for await (const event of handle.networkEvents({
      follow: follow && !isOver,
      ...(since === undefined ? {} : { since }),
      ...limit,
    })) {
      if (until !== undefined && event.timestampMs >= until.getTime()) break;
      if (!isLive && follow && event.timestampMs > begin) goLive();
      const line = text.line(event);
      if (denied && !isDenied(event)) continue;
      if (grep?.test(line) === false) continue;
      show(json ? text.json(event) : `${line}\n`);
    }
  } catch (error) {
    if (!(error instanceof OperationTimeoutError)) throw error;
  }
  if (!isLive) goLive();
}

type Event = Parameters<NetworkEventText["line"]>[0];

function isDenied(event: Event): boolean {
  if (event.kind === "dns") return event.outcome !== "answered" && event.outcome !== "failed";
  return event.kind === "flow-denied" || (event.kind === "flow-closed" && event.reason === "policy");
}
