import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { connect, createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { defaultInterface } from "../../src/config/network/network-defaults.ts";
import { supervisorNodeOptions } from "../../src/start/contract/process.ts";
import { enterNamespace, firstOutput } from "../network/namespace.ts";
import type { GatewayFiles } from "./gateway.ts";

export const wayNames = [
  "direct",
  "spliced",
  "read",
  "with a secret",
  "Node's TLS twice",
  "Node's TLS twice, over a stream",
  "mitmproxy",
] as const;
export type WayName = (typeof wayNames)[number];

/** How the server is reached. */
export interface Way extends AsyncDisposable {
  readonly name: WayName;
  readonly address: string;
  readonly port: number;
  /** PEM of who has signed what the client is shown. */
  readonly authority: string;
  /** What is asked for: the server wants to see the secret where there is one. */
  readonly path: string;
  /** Who is between client and server; null: nobody. */
  readonly between: number | null;
  /** A client's program. */
  spawn(program: string, args: readonly string[]): ChildProcess;
}

export interface WayOptions {
  /** Path of `cable.rs`. */
  readonly cable: string;
  readonly directory: string;
  /** PEM of whom the server's certificate is by. */
  readonly root: string;
  /** PEM of that certificate, and of its key. */
  readonly certificate: string;
  readonly key: string;
  readonly server: number;
}

/**
 * What `name` says. The gateway's clients are this host's kernel in a namespace, so that each byte crosses the cable as a guest's. The
 * others have none: they have less to do.
 */
export async function startWay(name: WayName, options: WayOptions): Promise<Way> {
  switch (name) {
    case "direct":
      return onLoopback(name, options.server, options.root, null);
    case "mitmproxy":
      return await startMitmproxy(options);
    case "Node's TLS twice":
    case "Node's TLS twice, over a stream":
      return await startRelay(name, options);
    default:
      return await startGateway(name, options);
  }
}

async function startGateway(
  name: "spliced" | "read" | "with a secret",
  { cable, directory, root, server }: WayOptions,
): Promise<Way> {
  const authority = name === "spliced" ? root : join(directory, `${name}.pem`);
  const hasSecret = name === "with a secret";
  const files: GatewayFiles = { root, authority, port: server, hasSecret };
  const program =
    name === "spliced"
      ? [join(import.meta.dirname, "../network/alone-gateway.ts"), cable, String(defaultInterface.mtu)]
      : [join(import.meta.dirname, "gateway.ts"), cable, String(defaultInterface.mtu), JSON.stringify(files)];
  const gateway = spawn(process.execPath, [...supervisorNodeOptions, ...program], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const [enter = "", ...words] = enterNamespace(Number(await firstOutput(gateway, gateway.stdout)));
  return {
    ...{ name, authority, port: server, address: "172.16.0.1" },
    path: hasSecret ? "/secret" : "/small",
    between: gateway.pid ?? 0,
    spawn: (client, args) =>
      spawn(enter, [...words, client, ...args], { stdio: ["pipe", "pipe", "inherit"] }),
    async [Symbol.asyncDispose]() {
      gateway.stdin.end();
      await once(gateway, "exit");
    },
  };
}

/** What reading takes at least. */
async function startRelay(name: WayName, { root, certificate, key, server }: WayOptions): Promise<Way> {
  const kind = name === "Node's TLS twice" ? "sockets" : "stream";
  const program = [join(import.meta.dirname, "relay.ts"), kind, certificate, key, root, String(server)];
  const relay = spawn(process.execPath, [...supervisorNodeOptions, ...program], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  return onLoopback(name, Number(await firstOutput(relay, relay.stdout)), root, relay);
}

/** As a server in the real one's place, which is what a guest's connections are sent to: less work for it than as a proxy. */
async function startMitmproxy({ directory, root, server }: WayOptions): Promise<Way> {
  const files = join(directory, "mitmproxy");
  await mkdir(files);
  const port = await freePort();
  const settings = [
    `confdir=${files}`,
    "flow_detail=0",
    `ssl_verify_upstream_trusted_ca=${root}`,
    // Otherwise the server is asked before the client has said which protocols it speaks, and HTTP/2 is none of them.
    "connection_strategy=lazy",
    // Otherwise each body is in memory as a whole.
    "stream_large_bodies=64k",
  ];
  const child = spawn(
    "mitmdump",
    [
      ...["--quiet", "--mode", `reverse:https://localhost:${server}`],
      ...["--listen-host", "127.0.0.1", "--listen-port", String(port)],
      ...settings.flatMap((setting) => ["--set", setting]),
    ],
    { stdio: "inherit" },
  );
  const way = onLoopback("mitmproxy", port, join(files, "mitmproxy-ca-cert.pem"), child);
  const failed = once(child, "exit").then(() => Promise.reject(new Error("mitmdump did not start")));
  await Promise.race([answering(port), failed]);
  failed.catch(() => undefined);
  return way;
}

function onLoopback(name: WayName, port: number, authority: string, child: ChildProcess | null): Way {
  return {
    ...{ name, authority, port, address: "127.0.0.1", path: "/small", between: child?.pid ?? null },
    spawn: (client, args) => spawn(client, args, { stdio: ["pipe", "pipe", "inherit"] }),
    async [Symbol.asyncDispose]() {
      if (child === null || child.exitCode !== null) return;
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
    },
  };
}

async function answering(port: number): Promise<void> {
  const limit = performance.now() + 60_000;
  while (performance.now() < limit) {
    const socket = connect({ host: "127.0.0.1", port });
    const is = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    });
    socket.destroy();
    if (is) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("mitmdump did not listen");
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
