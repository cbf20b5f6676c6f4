import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { test } from "node:test";
import type { PullProgress } from "../../api/index.ts";
import { PullDisplay } from "./pull-display.ts";

const MIB = 1024 * 1024;
const digest = `sha256:${"0123456789abcdef".repeat(4)}`;
const other = `sha256:${"fedcba9876543210".repeat(4)}`;

const pull: readonly PullProgress[] = [
  { kind: "resolving", reference: "docker.io/library/app:1" },
  {
    kind: "resolved",
    reference: "docker.io/library/app:1",
    manifestDigest: digest,
    layerCount: 2,
    totalDownloadBytes: 3 * MIB,
  },
  { kind: "layerDownloadProgress", layerIndex: 0, digest, downloadedBytes: MIB, totalBytes: 2 * MIB },
  { kind: "layerDownloadVerifying", layerIndex: 0, digest },
  { kind: "layerDownloadComplete", layerIndex: 0, digest, downloadedBytes: 2 * MIB },
  { kind: "layerDownloadComplete", layerIndex: 1, digest: other, downloadedBytes: MIB },
  { kind: "layerMaterializeStarted", layerIndex: 1, diffId: other },
  { kind: "layerMaterializeProgress", layerIndex: 1, bytesRead: MIB / 2, totalBytes: MIB },
  { kind: "layerMaterializeWriting", layerIndex: 1 },
  { kind: "layerMaterializeComplete", layerIndex: 1, diffId: other },
  { kind: "layerMaterializeComplete", layerIndex: 0, diffId: digest },
  { kind: "stitchMergingTrees", layerCount: 2 },
  { kind: "stitchWritingFsmeta" },
  { kind: "stitchComplete" },
  { kind: "complete", reference: "docker.io/library/app:1", layerCount: 2 },
];

/** Keeps what is written to it; a terminal when it has a size. */
class Screen extends Writable {
  readonly isTTY: boolean;
  readonly columns: number;
  readonly rows: number;
  text = "";

  constructor(size: { readonly columns: number; readonly rows: number } | null) {
    super({ decodeStrings: false });
    this.isTTY = size !== null;
    this.columns = size?.columns ?? 0;
    this.rows = size?.rows ?? 0;
  }

  override _write(chunk: string, _encoding: string, done: () => void): void {
    this.text += chunk;
    done();
  }
}

function show(events: readonly PullProgress[], stream: Screen): PullDisplay {
  const display = new PullDisplay(stream);
  for (const event of events) display.event(event);
  return display;
}

/** What is on the screen after `text`: only the two sequences that the display uses are known. */
function linesAfter(text: string): string[] {
  const lines: string[] = [];
  const draws = text.replaceAll(/\x1b\[\d*m/g, "").split(/\x1b\[(?=\d+F\x1b\[J)/);
  for (const draw of draws) {
    const back = /^(\d+)F\x1b\[J/.exec(draw);
    if (back !== null) lines.splice(lines.length - Number(back[1]));
    const rest = back === null ? draw : draw.slice(back[0].length);
    lines.push(...rest.split("\n").slice(0, -1));
  }
  return lines;
}

test("elsewhere than on a terminal there is a line for each layer and stage, and nothing else", () => {
  const stream = new Screen(null);
  show(pull, stream).clear();
  assert.equal(
    stream.text,
    [
      "Pulling docker.io/library/app:1: 2 layers, 3 MiB to download",
      "0123456789ab: downloaded, 2 MiB",
      "fedcba987654: downloaded, 1 MiB",
      "fedcba987654: unpacked",
      "0123456789ab: unpacked",
      "Making the root file system",
      "",
    ].join("\n"),
  );
});

test("an image that is here already says nothing", () => {
  const cached: readonly PullProgress[] = [
    { kind: "resolving", reference: "app" },
    { kind: "resolved", reference: "app", manifestDigest: digest, layerCount: 2, totalDownloadBytes: null },
    { kind: "complete", reference: "app", layerCount: 2 },
  ];
  for (const size of [null, { columns: 80, rows: 24 }]) {
    const stream = new Screen(size);
    show(cached, stream).clear();
    assert.equal(stream.text, "");
  }
});

test("on a terminal each layer has a bar, drawn over the one before, and all are gone at the end", () => {
  const stream = new Screen({ columns: 80, rows: 24 });
  const display = show(pull.slice(0, 5), stream);
  assert.deepEqual(linesAfter(stream.text), [
    "Pulling docker.io/library/app:1",
    `   0123456789ab ${"━".repeat(24)} downloaded 2 MiB / 2 MiB`,
    `                ${"─".repeat(24)} waiting`,
  ]);
  display.clear();
  assert.deepEqual(linesAfter(stream.text), []);
  display.event({ kind: "stitchMergingTrees", layerCount: 2 });
  assert.deepEqual(linesAfter(stream.text), []);
});

test("no line is wider than the terminal, and there are no more than fit", () => {
  const stream = new Screen({ columns: 40, rows: 5 });
  const many = pull.map((event) => (event.kind === "resolved" ? { ...event, layerCount: 30 } : event));
  show(many, stream);
  const lines = linesAfter(stream.text);
  assert.equal(lines.length, 4);
  assert.equal(lines[3], "   … and 28 more");
  for (const line of lines) assert.ok(line.length < 40, line);
});
