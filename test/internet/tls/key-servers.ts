import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Certificates } from "../../registry/certificates.ts";
import type { Tree } from "../tree-programs.ts";

export interface KeyServerPorts {
  /** gRPC by TLS. */
  readonly grpc: number;
  /** gRPC by HTTP/2 without TLS. */
  readonly plainGrpc: number;
  /** WebSockets by TLS. */
  readonly webSockets: number;
}

/** Real servers of gRPC and WebSockets (`key-servers.py`), which answer whoever brings a key as Bearer. */
export async function startKeyServers(
  tree: Tree,
  { certFile, keyFile }: Certificates,
  { grpc, plainGrpc, webSockets }: KeyServerPorts,
  key: string,
): Promise<void> {
  const files = {
    "/srv/servers.pem": certFile,
    "/srv/servers.key": keyFile,
    "/srv/key-servers.py": join(import.meta.dirname, "key-servers.py"),
  };
  for (const [path, file] of Object.entries(files))
    await tree.shell(`cat > ${path} <<'THE_END'\n${await readFile(file, "utf8")}\nTHE_END`);
  await tree.daemon(
    ["python3", "/srv/key-servers.py", ...[grpc, plainGrpc, webSockets].map(String)],
    /serves/,
    {
      environment: { KEY: key },
    },
  );
}
