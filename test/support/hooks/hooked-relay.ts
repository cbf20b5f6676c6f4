import { once } from "node:events";
import { createServer as createHttp1, type IncomingMessage, type RequestListener } from "node:http";
import { createServer as createHttp2 } from "node:http2";
import { connect as connectTcp, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { duplexPair, PassThrough } from "node:stream";
import { createSecureContext } from "node:tls";
import type { TestContext } from "node:test";
import { SupervisorConnection } from "../../../src/api/control/connection.ts";
import { provideHooks } from "../../../src/api/providers/hooks/provide-hooks.ts";
import type { RequestHook, ResponseHook } from "../../../src/config/network/interception/http-hooks.ts";
import type { HttpConfig } from "../../../src/config/network/interception/http-type.ts";
import type { NetworkEvent } from "../../../src/network/events.ts";
import { relayHttp1 } from "../../../src/network/http1/relay/relay-http1.ts";
import { relayHttp2 } from "../../../src/network/http2/relay-http2.ts";
import { createInspector } from "../../../src/network/interception/create-inspector.ts";
import type { Interception } from "../../../src/network/interception/interception.ts";
import { Client, type ClientServices } from "../../../src/supervisor/clients/client.ts";
import { ServiceRegistry } from "../../../src/supervisor/services/registry.ts";
import { ProgramHooks } from "../../../src/supervisor/services/interception/hooks/program-hooks.ts";
import { secret } from "../secret-sample.ts";

export type Version = "1.1" | "2";

export interface HookedOptions {
  readonly version: Version;
  readonly onRequest?: RequestHook;
  readonly onResponse?: ResponseHook;
  readonly timeoutMs?: number;
  readonly rules?: HttpConfig["rules"];
  readonly scrubResponses?: boolean;
  /** Of the server. */
  readonly answer: RequestListener;
  /** The same, of HTTP/1. */
  readonly upgrade?: (request: IncomingMessage, socket: Socket) => void;
}

export interface HookedRelay {
  /** Where requests are sent to. */
  readonly port: number;
  readonly events: NetworkEvent[];
  /** Bytes that have gone to the program. */
  readonly toProgram: () => number;
  /** The program is killed. */
  readonly killProgram: () => void;
}

/** A program's functions, its connection to a supervisor, a relay that asks them, and a server. The secret `KEY` is `real-value`. */
export async function hookedRelay(t: TestContext, options: HookedOptions): Promise<HookedRelay> {
  const { version, onRequest = null, onResponse = null, timeoutMs = 30_000, rules = [] } = options;
  const { supervisor, toProgram, kill } = programOf(provideHooks({ onRequest, onResponse }));
  const hooks = { onRequest: onRequest !== null, onResponse: onResponse !== null, timeoutMs };
  const asked = new ProgramHooks(
    (opening, handler, over) => supervisor.converse(opening, handler, over),
    hooks,
  );
  const context = createSecureContext();
  const interception: Interception = {
    tls: null,
    leaves: { contextFor: () => context },
    trust: { optionsFor: () => ({ secureContext: context, verify: true }) },
    secrets: [
      secret({
        envVar: "KEY",
        placeholder: "$KEY",
        hosts: ["*"],
        requireTlsIdentity: false,
        scrubResponses: options.scrubResponses ?? false,
      }),
    ],
    secretViolation: { kind: "block-and-log" },
    values: { value: () => "real-value", refused: () => undefined },
    http: { rules, denyResponse: true, denyMessage: null, hooks },
    hooks: asked,
    terminate: () => undefined,
  };
  const server: Server =
    version === "1.1" ? createHttp1(options.answer) : createHttp2({}, options.answer as never);
  const { upgrade } = options;
  if (upgrade !== undefined) server.on("upgrade", upgrade);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const events: NetworkEvent[] = [];
  const front = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (guest) => {
    guest.on("error", () => undefined);
    const { port } = server.address() as AddressInfo;
    const upstream = connectTcp({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    upstream.pause();
    const channel = {
      ...({ kind: "plain", serverName: null, isProved: false, address: "127.0.0.1", port } as const),
      isBoundTo: (matches: (name: string) => boolean) => matches("127.0.0.1"),
    };
    const inspector = createInspector(interception, channel, (event) => events.push(event));
    upstream.once("connect", () => {
      const connection = { guest, server: upstream, scheme: "http", inspector } as const;
      void (version === "1.1" ? relayHttp1 : relayHttp2)(connection);
    });
  });
  front.listen(0, "127.0.0.1");
  await once(front, "listening");
  t.after(() => {
    kill();
    front.close();
    server.close();
    if ("closeAllConnections" in server)
      (server as unknown as { closeAllConnections(): void }).closeAllConnections();
  });
  return { port: (front.address() as AddressInfo).port, events, toProgram, killProgram: kill };
}

function programOf(serve: ReturnType<typeof provideHooks>): {
  readonly supervisor: Client;
  readonly toProgram: () => number;
  readonly kill: () => void;
} {
  const [program, between] = duplexPair();
  const [far, supervisor] = duplexPair();
  let bytes = 0;
  const counted = new PassThrough();
  counted.on("data", (piece: Buffer) => (bytes += piece.length));
  far.pipe(counted).pipe(between);
  between.pipe(far);
  SupervisorConnection.inherited(program, { message: () => undefined, lost: () => undefined }, serve);
  const services = { disconnected: () => undefined } as unknown as ClientServices;
  const client = new Client(supervisor, services, new ServiceRegistry(), true);
  const kill = (): void => {
    for (const end of [program, between, far, supervisor]) end.destroy();
  };
  return { supervisor: client, toProgram: () => bytes, kill };
}
