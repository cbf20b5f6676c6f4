import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The two ends of a unix socket's connection. */
export async function unixCable(): Promise<[gateway: Socket, guest: Socket]> {
  const directory = mkdtempSync(join(tmpdir(), "msb-cable-"));
  const path = join(directory, "cable");
  const server = createServer().listen(path);
  await once(server, "listening");
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const guest = createConnection(path);
  const [[gateway]] = await Promise.all([accepted, once(guest, "connect")]);
  server.close();
  rmSync(directory, { recursive: true });
  return [gateway, guest];
}
