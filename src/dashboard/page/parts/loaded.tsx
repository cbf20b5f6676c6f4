import type { VNode } from "preact";
import { useCallback, useEffect, useState } from "preact/hooks";
import type { CallName, Calls, Failure } from "../../wire.ts";
import { call, failureOf } from "../state/call.ts";
import { Problem } from "./dialog.tsx";

/** What a call gave; null: it has not yet. */
export interface Loaded<T> {
  readonly value: T | null;
  readonly failure: Failure | null;
  /** Asks again. What is known stays until the answer is there. */
  readonly again: () => void;
  readonly set: (value: T) => void;
}

/** Asks the server when the component comes, and when `key` changes. */
export function useCall<Name extends CallName>(
  name: Name,
  args: Calls[Name]["args"],
  key = "",
): Loaded<Calls[Name]["result"]> {
  const [value, set] = useState<Calls[Name]["result"] | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [turn, setTurn] = useState(0);
  const asked = JSON.stringify(args);
  useEffect(() => {
    const over = new AbortController();
    call(name, JSON.parse(asked) as Calls[Name]["args"], over.signal)
      .then((result) => {
        set(() => result);
        setFailure(null);
      })
      .catch((error: unknown) => {
        if (!over.signal.aborted) setFailure(failureOf(error));
      });
    return () => {
      over.abort();
    };
  }, [name, asked, key, turn]);
  const again = useCallback(() => setTurn((before) => before + 1), []);
  return { value, failure, again, set: (next) => set(() => next) };
}

/** What is shown until there is something to show. */
export function Waiting({ of }: { readonly of: Pick<Loaded<unknown>, "failure"> }): VNode {
  if (of.failure !== null) return <Problem failure={of.failure} />;
  return <p class="muted">Loading…</p>;
}
