import type { ProviderCall } from "../../src/provider/file-provider.ts";

/** A call that nobody gives up. */
export const call: ProviderCall = { signal: new AbortController().signal, uid: 0, gid: 0 };

/** For `assert.rejects`: a system error with this name. */
export function withCode(code: string): { readonly code: string } {
  return { code };
}
