/** What happens to a command. `eventType` repeats `kind`: the name of the API whose sandboxes are configuration objects. */
export type ExecEvent =
  | { readonly kind: "started"; readonly eventType: "started"; readonly pid: number }
  | { readonly kind: "stdout"; readonly eventType: "stdout"; readonly data: Buffer }
  | { readonly kind: "stderr"; readonly eventType: "stderr"; readonly data: Buffer }
  | { readonly kind: "exited"; readonly eventType: "exited"; readonly code: number };

/** What `eventType` and `kind` of an {@link ExecEvent} are. */
export type ExecEventType = ExecEvent["kind"];
/** The same by name: `event.eventType === ExecEventType.Stdout`. */
export const ExecEventType = {
  Started: "started",
  Stdout: "stdout",
  Stderr: "stderr",
  Exited: "exited",
} as const satisfies Record<string, ExecEventType>;
