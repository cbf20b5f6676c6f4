import type { Operation } from "../../host/operation.ts";
import type { CreateObserver } from "./progress.ts";

/** An observer that also notes the stages in an operation's log, and whose signal is the operation's. */
export function observed(operation: Operation, observer: CreateObserver): CreateObserver {
  return {
    ...observer,
    signal: operation.signal,
    onProgress: (event) => {
      operation.log(`start: ${event.stage}`);
      observer.onProgress?.(event);
    },
    onPullProgress: (event) => {
      if (!event.kind.endsWith("Progress")) operation.log(`pull: ${event.kind}`);
      observer.onPullProgress?.(event);
    },
  };
}
