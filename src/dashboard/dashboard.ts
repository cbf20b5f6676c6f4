import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer, type WebSocket } from "ws";
import { IoError } from "../errors/index.ts";
import { answerCall } from "./answer-call.ts";
import { Assets } from "./assets.ts";
import { failureOf, statusOf } from "./failure.ts";
import { answerFile } from "./files.ts";
import { newToken, refuseForeign, refuseStranger, refuseStrangeSocket, subprotocol } from "./guard.ts";
import { serveLive } from "./live/live-socket.ts";
import { SandboxBoard } from "./live/sandbox-board.ts";
import { sendJson } from "./send-json.ts";
import { serveTerminal } from "./terminal.ts";

/** What `msb dashboard` runs. */
export interface Dashboard extends AsyncDisposable {
  readonly port: number;
  /** With the token, behind the `#`: what stands there is sent to no server. */
  readonly url: string;
}

const address = "127.0.0.1";
const portHint = { hint: "Name another port (--port), above 1023 and free, or none: then one is chosen." };
/** Of a message from the page, bytes: what is pasted into a terminal comes in one. */
const longestMessage = 1 << 20;
/** Pages, each with a few terminals. */
const mostConnections = 256;

/**
 * Serves the dashboard on 127.0.0.1, until it is disposed of. Everything that it shows and does is done with the public calls of this
 * package, in this process.
 *
 * @param port 0: any that is free
 * @throws IoError for a port that cannot be had; RuntimeError when the package was not built
 */
export async function serveDashboard(port = 0): Promise<Dashboard> {
  const token = newToken();
  const assets = await Assets.load();
  const board = new SandboxBoard();
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: longestMessage,
    handleProtocols: () => subprotocol,
  });
  // An upload may take as long as it takes.
  const server = createServer({ requestTimeout: 0 }, (request, response) => {
    void answer(request, response, assets, token);
  });
  server.maxConnections = mostConnections;
  server.on("upgrade", (request, socket, head) => {
    upgrade(request, socket, head, { sockets, board, token });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => {
      reject(new IoError(`cannot listen on ${address}:${String(port)}: ${error.message}`, portHint));
    });
    server.listen(port, address, resolve);
  });
  const { port: bound } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    board[Symbol.dispose]();
    for (const socket of sockets.clients) socket.terminate();
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  };
  return {
    port: bound,
    url: `http://${address}:${String(bound)}/#token=${token}`,
    [Symbol.asyncDispose]: close,
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  assets: Assets,
  token: string,
): Promise<void> {
  try {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://dashboard");
    const foreign = refuseForeign(request);
    if (foreign !== null) {
      sendError(response, foreign.status, foreign.message);
    } else if (Assets.has(pathname)) {
      if (request.method === "GET") assets.send(pathname, response);
      else sendError(response, 405, "only GET is possible here");
    } else {
      const stranger = refuseStranger(request, token);
      if (stranger !== null) sendError(response, stranger.status, stranger.message);
      else if (pathname === "/file") await answerFile(request, response, searchParams);
      else if (pathname.startsWith("/api/")) await answerCall(request, response, pathname.slice(5));
      else sendError(response, 404, "there is nothing here");
    }
  } catch (error) {
    if (response.headersSent) response.destroy();
    else sendJson(response, statusOf(error), failureOf(error));
  }
}

interface Upgrading {
  readonly sockets: WebSocketServer;
  readonly board: SandboxBoard;
  readonly token: string;
}

function upgrade(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  { sockets, board, token }: Upgrading,
): void {
  // Until the WebSocket has it, nobody else hears of its errors.
  socket.on("error", () => socket.destroy());
  const refusal = refuseForeign(request, true) ?? refuseStrangeSocket(request, token);
  const serve = servers[request.url ?? ""];
  if (refusal !== null || serve === undefined) {
    const status = refusal === null ? "404 Not Found" : `${String(refusal.status)} Refused`;
    socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    return;
  }
  sockets.handleUpgrade(request, socket, head, (webSocket) => {
    // Its end follows, which is all that there is to know.
    webSocket.on("error", () => undefined);
    serve(webSocket, board);
  });
}

const servers: Readonly<Record<string, (socket: WebSocket, board: SandboxBoard) => void>> = {
  "/live": serveLive,
  "/terminal": serveTerminal,
};

function sendError(response: ServerResponse, status: number, message: string): void {
  sendJson(response, status, { code: "refused", message, hint: "" });
}
