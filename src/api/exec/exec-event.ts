/** What happens to a command. `eventType` repeats `kind`: the name of the API whose sandboxes are configuration objects. */
export type ExecEvent =
  | { readonly kind: "started"; readonly eventType: "started"; readonly pid: number }
  | { readonly kind: "stdout"; readonly eventType: "stdout"; readonly data: Buffer }
  | { readonly kind: "stderr"; readonly eventType: "stderr"; readonly data: Buffer }
  | { readonly kind: "exited"; readonly eventType: "exited"; readonly code: number };
