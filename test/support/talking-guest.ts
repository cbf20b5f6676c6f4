import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createConnection, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import assert from "node:assert/strict";
import { AgentLink, type AgentLinkOptions } from "../../src/agent-link/agent-link.ts";
import type { SessionSink } from "../../src/agent-link/agent-session.ts";
import { ProtocolError } from "../../src/errors/index.ts";
import { encodeFrame, FrameDecoder, FrameKind } from "../../src/protocol/frame.ts";
import {
  decodeMessage,
  encodeMessage,
  PROTOCOL_VERSION,
  type AgentHelloMessage,
  type ExecMessage,
  type Message,
} from "../../src/protocol/generated/messages.ts";

export const hello: AgentHelloMessage = {
  type: "AgentHello",
  protocolVersion: PROTOCOL_VERSION,
  agentVersion: "0",
  kernelRelease: "6",
};
export const request: ExecMessage = {
  type: "Exec",
  argv: ["x"],
  env: [],
  cwd: "/",
  user: "",
  tty: false,
  rows: 0,
  cols: 0,
  stdin: "pipe",
  rlimits: [],
};

/** A message as it crosses the wire. */
export const control = (stream: number, message: Message): Buffer =>
  encodeFrame(stream, FrameKind.control, encodeMessage(message));
export const started = control(1, { type: "ExecStarted", pid: 7, sessionId: 0 });
export const exited = control(1, { type: "ExecExited", code: 0, signal: 0 });
export const outputsEnded = control(1, { type: "OutputsEnded" });
export const output = (bytes: number, kind: FrameKind = FrameKind.data): Buffer =>
  encodeFrame(1, kind, Buffer.alloc(bytes, "x"));

/** A guest that says what it likes, over a real socket. */
export interface Guest {
  readonly socket: Socket;
  readonly link: AgentLink;
  /** How the connection ended. */
  readonly lost: Promise<Error | null>;
  /** The supervisor's messages so far. */
  readonly told: Message[];
}

export async function connect(t: TestContext, options: Omit<AgentLinkOptions, "lost"> = {}): Promise<Guest> {
  const directory = await mkdtemp(join(tmpdir(), "agent-link-"));
  const path = join(directory, "port");
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const [[port], socket] = await Promise.all([
    once(server, "connection") as Promise<[Socket]>,
    Promise.resolve(createConnection(path)),
  ]);
  server.close();
  socket.on("error", () => undefined);
  const told: Message[] = [];
  const decoder = new FrameDecoder();
  socket.on("data", (chunk: Buffer) => {
    for (const { kind, payload } of decoder.push(chunk)) {
      if (kind === FrameKind.control) told.push(decodeMessage(payload, "supervisor→agent"));
    }
  });
  const lost = Promise.withResolvers<Error | null>();
  const link = new AgentLink(port, { lost: lost.resolve, ...options });
  t.after(() => {
    socket.destroy();
    port.destroy();
    return rm(directory, { recursive: true, force: true });
  });
  return { socket, link, lost: lost.promise, told };
}

/** What the sink of a command was told, in order. */
export function recorder(): { sink: SessionSink; heard: string[]; lost: Promise<Error> } {
  const heard: string[] = [];
  const lost = Promise.withResolvers<Error>();
  const sink: SessionSink = {
    started: (pid) => heard.push(`started ${pid}`),
    output: (kind, payload) => heard.push(`output ${kind} ${payload.length}`),
    stdinCredit: (bytes) => heard.push(`credit ${bytes}`),
    stdinClosed: () => heard.push("stdin closed"),
    failed: ({ message }) => heard.push(`failed ${message}`),
    exited: ({ code }) => heard.push(`exited ${code}`),
    outputsEnded: () => heard.push("outputs ended"),
    lost: (error) => {
      heard.push("lost");
      lost.resolve(error);
    },
  };
  return { sink, heard, lost: lost.promise };
}

export async function breaksTheRules(lost: Promise<Error | null>, message: RegExp): Promise<void> {
  const error = await lost;
  assert.ok(error instanceof ProtocolError, String(error));
  assert.match(error.message, message);
}
