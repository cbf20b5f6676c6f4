import type { ProviderCall } from "./file-provider.ts";

/** What has to be done even so may take that long, ms. */
const afterwardsMs = 10_000;

/** For what has to be done even if nobody waits for the call any more: it has a time of its own. */
export function afterwards({ uid, gid }: Pick<ProviderCall, "uid" | "gid">): ProviderCall {
  return Object.freeze({ uid, gid, signal: AbortSignal.timeout(afterwardsMs) });
}
