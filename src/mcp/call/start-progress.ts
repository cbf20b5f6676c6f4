import type { CreateObserver, PullProgress } from "../../api/index.ts";
import type { ToolCall } from "./tool.ts";

/** Watches a start for a call: tells the client how the pull and the start go on. @returns what it was told besides, as warnings */
export function watchedStart(call: ToolCall): {
  readonly observer: CreateObserver;
  readonly warnings: string[];
} {
  const warnings: string[] = [];
  return {
    warnings,
    observer: {
      signal: call.signal,
      onNotice: (message) => {
        warnings.push(message);
      },
      onProgress: ({ stage }) => {
        call.progress(`start: ${stage}`);
      },
      onPullProgress: (event) => {
        call.progress(`pull: ${pullText(event)}`);
      },
    },
  };
}

function pullText(event: PullProgress): string {
  switch (event.kind) {
    case "resolving":
      return `looking up ${event.reference}`;
    case "resolved":
      return event.totalDownloadBytes === null
        ? `${event.layerCount} layers`
        : `${event.layerCount} layers, ${event.totalDownloadBytes} bytes to download`;
    case "layerDownloadProgress":
      return `layer ${event.layerIndex}: ${event.downloadedBytes} of ${event.totalBytes ?? "?"} bytes`;
    case "layerMaterializeProgress":
      return `layer ${event.layerIndex}: unpacked ${event.bytesRead} of ${event.totalBytes} bytes`;
    case "complete":
      return `${event.reference} is there`;
    default:
      return "layerIndex" in event ? `layer ${event.layerIndex}: ${event.kind}` : event.kind;
  }
}
