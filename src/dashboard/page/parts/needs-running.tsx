import type { VNode } from "preact";

/** What is shown where only a sandbox that runs has something to show. */
export function NeedsRunning({ what }: { readonly what: string }): VNode {
  return <p class="empty">{what} can be seen while the sandbox runs.</p>;
}
