import type { VNode } from "preact";

const tones: Readonly<Record<string, string>> = {
  running: "good",
  starting: "busy",
  draining: "busy",
  paused: "busy",
  crashed: "bad",
};

/** A status in words; its colour says nothing more. */
export function StatusMark({ status }: { readonly status: string }): VNode {
  return <span class={`status ${tones[status] ?? "idle"}`}>{status}</span>;
}
