import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { test } from "node:test";
import type { ImageDetail } from "../api/index.ts";
import { ImageError } from "../errors/index.ts";
import { toText as imageText, toJson as imageJson } from "./commands/image/image-inspect.ts";
import { renderRows } from "./commands/host/doctor.ts";
import { completionLine, errorBlock, warningLine } from "./output/blocks.ts";
import type { NetworkLogEvent, SandboxNetworkStatus } from "../api/index.ts";
import { statusText } from "./commands/network/net-list.ts";
import { fieldLines, json, jsonLine } from "./output/format.ts";
import { NetworkEventText } from "./commands/network/network-text.ts";
import { PullDisplay } from "./output/pull-display.ts";
import { report } from "./output/report.ts";
import { describeCommand } from "./output/sandbox-text.ts";
import { oneLine, sanitize } from "./output/sanitize.ts";
import { print } from "./output/streams.ts";
import { joined, rawText, style, styled, Styled, type Text } from "./output/style.ts";
import { cut, table } from "./output/table.ts";

/** What an image's maker, a registry or a guest may try: colours, title, cursor, C1, overrides of the reading order, lines. */
const attacks = [
  "\x1b[31m",
  "\x1b]0;title\x07",
  "\x1b]52;c;cm0gLXJm\x1b\\",
  "\x1bc",
  "\x1b[2J\x1b[H",
  "\x9b31m",
  "\x9d0;title\x9c",
  "\x90q\x9c",
  "\r",
  "\b\b\b",
  "\x7f",
  "\x00",
  "\u202e",
  "\u2066",
  "\u2069",
  "\u200f",
  "\u2028",
  "\u2029",
  "\x1b\x1b[[31m31m",
];
const hostile = `be${attacks.join("x")}fore\nError: forged line\tafter`;

/** What may stand in a line that is printed where no colours are shown. */
function assertClean(text: Text, lines: number): void {
  const raw = rawText(text);
  assert.doesNotMatch(raw, /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/, raw);
  assert.equal(raw.split("\n").length - 1, lines, raw);
}

class Screen extends Writable {
  text = "";
  readonly columns = 300;
  readonly rows = 24;
  readonly isTTY: boolean;

  constructor(isTTY: boolean) {
    super({ decodeStrings: false });
    this.isTTY = isTTY;
  }

  override _write(chunk: string, _encoding: string, done: () => void): void {
    this.text += chunk;
    done();
  }
}
const stream = new Screen(false);

test("a string that is printed as it came steers nothing", () => {
  const screen = new Screen(true);
  print(screen, hostile);
  assertClean(new Styled(screen.text), 3);
  assert.match(screen.text, /^be[^]*fore\nError: forged line\tafter$/);
  for (const attack of attacks) assert.doesNotMatch(sanitize(attack), /[^\n[\d;a-zA-Z=\\]/);
});

test("a value in a styled text keeps neither colours nor controls, and a styled one its own", () => {
  assertClean(styled`${hostile}`, 3);
  assertClean(joined([hostile, hostile], " "), 6);
  const red = style("red", "a\x1b[2Jb", process.stdout);
  assert.equal(String(red), "ab");
  const green = new Styled("\x1b[32mok\x1b[39m");
  assert.equal(rawText(styled`<${green}>`), "<\x1b[32mok\x1b[39m>");
  // Put into a string, it is a string like others.
  assert.equal(rawText(`<${String(green)}>`), "<ok>");
});

test("what has its place in a line makes no line of its own", () => {
  assert.equal(oneLine("a\nb\tc\r\nd\u2028e"), "a\\nb\\tc\\nd\\ne");
  assertClean(table(["A", "B"], [[hostile, hostile]]), 2);
  assertClean(
    fieldLines([
      [hostile.slice(0, 5), hostile],
      ["Labels", [hostile, hostile]],
    ]),
    3,
  );
  assertClean(completionLine({ ok: true, verb: "Pulled", target: hostile, durationMs: 1 }, stream), 1);
  assertClean(cut(hostile, 1000), 0);
  assertClean(cut(hostile, 10), 0);
  const lines = rawText(errorBlock({ text: hostile, hints: [hostile] }, stream)).split("\n");
  for (const line of lines.slice(1, -1)) assert.match(line, /^ {2}/, "no line begins as one of ours");
  assertClean(warningLine(hostile, stream), 4);
});

test("an image's maker cannot steer the terminal of who inspects it", () => {
  const detail = {
    handle: {
      reference: hostile,
      manifestDigest: hostile,
      sizeBytes: 1,
      os: hostile,
      architecture: hostile,
      layerCount: 1,
      createdAt: null,
      lastUsedAt: null,
    },
    config: {
      digest: hostile,
      env: [`A=${hostile}`],
      cmd: [hostile],
      entrypoint: [hostile],
      workingDir: hostile,
      user: hostile,
      labels: { [hostile]: hostile },
      stopSignal: hostile,
    },
    layers: [],
  } as unknown as ImageDetail;
  const text = imageText(detail);
  assertClean(text, 15);
  assert.deepEqual(JSON.parse(json(imageJson(detail))), JSON.parse(JSON.stringify(imageJson(detail))));
  const config = { entrypoint: null, cmd: ["sh", hostile] } as unknown as Parameters<
    typeof describeCommand
  >[0];
  assertClean(table(["COMMAND"], [[cut(describeCommand(config), 40)]]), 2);
});

test("a registry's words, and those of the checks, are clean on every way to the terminal", () => {
  const error = new ImageError(`the registry says: ${hostile}`, {
    hint: hostile,
    cause: new Error(`caused ${hostile}`),
  });
  for (const stack of [false, true]) {
    const text = rawText(report(error, stream, { stack }));
    assert.doesNotMatch(text, /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200f\u2028-\u202e\u2066-\u2069]/);
  }
  const row = { name: "QEMU", status: "ok", detail: hostile, fix: "" } as const;
  assert.doesNotMatch(rawText(renderRows([row], true)), /[\x07\x08\r\x9b\u202e]/);
  for (const isTTY of [false, true]) {
    const screen = new Screen(isTTY);
    const display = new PullDisplay(screen);
    display.event({ kind: "resolving", reference: hostile });
    display.event({
      kind: "resolved",
      reference: hostile,
      manifestDigest: hostile,
      layerCount: 1,
      totalDownloadBytes: 1,
    });
    display.event({ kind: "layerDownloadComplete", layerIndex: 0, digest: hostile, downloadedBytes: 1 });
    display.clear();
    const own = /\x1b\[(?:\d+F\x1b\[J|\d+m)/g;
    assert.doesNotMatch(screen.text.replace(own, ""), /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2066]/);
  }
});

test("names that a guest asks for, or says in TLS, are one clean line of a network's events", () => {
  const flow = {
    timestampMs: 1,
    flow: 1,
    direction: "egress",
    protocol: "tcp",
    address: hostile,
    group: null,
    port: 443,
    name: hostile,
    rule: 0,
  } as const;
  const question = {
    kind: "dns",
    timestampMs: 1,
    name: hostile,
    type: hostile,
    transport: "udp",
    resolver: hostile,
    outcome: "denied",
    rcode: hostile,
    addresses: [hostile],
    rule: 0,
  } as const;
  const policy = { defaultEgress: "deny", defaultIngress: "deny", rules: [] } as const;
  const events: NetworkLogEvent[] = [
    { kind: "policy", timestampMs: 1, cause: "start", policy, observe: false },
    { ...flow, kind: "flow-opened" },
    { ...flow, kind: "flow-closed", bytesSent: 1, bytesReceived: 1, reason: "closed" },
    { ...flow, kind: "flow-denied", reason: "policy", count: 1 },
    question,
  ];
  const text = new NetworkEventText(() => hostile);
  for (const event of events) {
    assertClean(new Styled(text.line(event)), 0);
    assert.equal(sanitize(text.json(event)), text.json(event));
  }
  const status = {
    ...{ ports: [], policy, observe: false, maxConnections: 1 },
    counters: { rxBytes: 0, txBytes: 0, rxFrames: 0, txFrames: 0, flowsOpened: 0, flowsDenied: 0 },
    flows: [{ ...flow, openedAt: new Date(0) }],
  } as unknown as SandboxNetworkStatus;
  assertClean(statusText(status), 11);
});

test("JSON keeps every character, and is printed as it is", () => {
  const all = Array.from({ length: 0x3000 }, (_, code) => String.fromCharCode(code)).join("");
  for (const text of [json({ [all]: all }), jsonLine([all])]) {
    assert.equal(sanitize(text), text);
    assert.ok(JSON.stringify(JSON.parse(text)).includes(JSON.stringify(all)));
  }
  assert.equal(jsonLine("\x7f\x9b\u202e"), '"\\u007f\\u009b\\u202e"\n');
});
