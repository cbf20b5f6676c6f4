/** What a pull tells of itself. Sizes are in bytes; `layerIndex` counts from the bottom, from 0. */
export type PullProgress =
  | { readonly kind: "resolving"; readonly reference: string }
  | {
      readonly kind: "resolved";
      readonly reference: string;
      readonly manifestDigest: string;
      readonly layerCount: number;
      /** Of the layers that are not in the store yet; null when nothing is downloaded. */
      readonly totalDownloadBytes: number | null;
    }
  | {
      readonly kind: "layerDownloadProgress";
      readonly layerIndex: number;
      readonly digest: string;
      readonly downloadedBytes: number;
      readonly totalBytes: number | null;
    }
  | {
      readonly kind: "layerDownloadComplete";
      readonly layerIndex: number;
      readonly digest: string;
      readonly downloadedBytes: number;
    }
  | { readonly kind: "layerDownloadVerifying"; readonly layerIndex: number; readonly digest: string }
  | { readonly kind: "layerMaterializeStarted"; readonly layerIndex: number; readonly diffId: string }
  | {
      readonly kind: "layerMaterializeProgress";
      readonly layerIndex: number;
      /** Of the layer as it is stored, `totalBytes` long. */
      readonly bytesRead: number;
      readonly totalBytes: number;
    }
  | { readonly kind: "layerMaterializeWriting"; readonly layerIndex: number }
  | { readonly kind: "layerMaterializeComplete"; readonly layerIndex: number; readonly diffId: string }
  | { readonly kind: "stitchMergingTrees"; readonly layerCount: number }
  | { readonly kind: "stitchWritingFsmeta" }
  | { readonly kind: "stitchComplete" }
  | { readonly kind: "complete"; readonly reference: string; readonly layerCount: number };

export type PullProgressListener = (event: PullProgress) => void;

/** The least time between two progress events of one layer, in milliseconds. */
const intervalMs = 50;

/** Lets through the first of a row of progress reports, and one now and then. */
export function throttled(report: (bytes: number) => void): (bytes: number) => void {
  let last = -Infinity;
  return (bytes) => {
    const now = performance.now();
    if (now - last < intervalMs) return;
    last = now;
    report(bytes);
  };
}
