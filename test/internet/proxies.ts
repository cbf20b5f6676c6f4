import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Tree } from "./tree-programs.ts";

/** Where they listen, at 127.0.0.1. */
export const proxyPorts = { socks: 1080, http: 3128 } as const;
/** Who may use SOCKS 5 and HTTP. SOCKS 4 knows no passwords. */
export const proxyLogin = { username: "guest", password: "some-word" } as const;

/** A proxy of Debian's. */
export class Proxy {
  /** Lines that it has written. */
  readonly log: string[] = [];
  readonly #program: ChildProcess;

  constructor(program: ChildProcess) {
    this.#program = program;
    for (const stream of [program.stdout, program.stderr])
      if (stream !== null) createInterface({ input: stream }).on("line", (line) => this.log.push(line));
  }

  /** Kills it; nobody listens there then. */
  async end(): Promise<void> {
    const closed = once(this.#program, "close");
    this.#program.kill("SIGKILL");
    await closed;
  }
}

/** Dante: SOCKS 4, and SOCKS 5 for a user of the system. */
export async function danteProxy(tree: Tree): Promise<Proxy> {
  const { username, password } = proxyLogin;
  await tree.shell(`
    useradd -M -s /usr/sbin/nologin ${username} && echo '${username}:${password}' | chpasswd
    cat > /etc/danted.conf << END
logoutput: stdout
internal: 127.0.0.1 port = ${proxyPorts.socks}
external: host0
external.rotation: route
clientmethod: none
socksmethod: username none
user.privileged: root
user.unprivileged: nobody
client pass {
  from: 127.0.0.0/8 to: 0.0.0.0/0
}
socks pass {
  from: 0.0.0.0/0 to: 0.0.0.0/0
  proxyprotocol: socks_v4
  log: connect error
}
socks pass {
  from: 0.0.0.0/0 to: 0/0
  proxyprotocol: socks_v5
  socksmethod: username
  log: connect error
}
END`);
  const command = ["danted", "-f", "/etc/danted.conf", "-N", "1"];
  return new Proxy(await tree.daemon(command, /running$/));
}

/** Tinyproxy: HTTP CONNECT, with a password. */
export async function tinyProxy(tree: Tree): Promise<Proxy> {
  const { username, password } = proxyLogin;
  await tree.shell(`cat > /etc/tinyproxy.conf << END
Port ${proxyPorts.http}
Listen 127.0.0.1
Timeout 600
LogLevel Info
MaxClients 100
Allow 127.0.0.1
BasicAuth ${username} ${password}
DisableViaHeader Yes
END`);
  return new Proxy(
    await tree.daemon(
      ["tinyproxy", "-d", "-c", "/etc/tinyproxy.conf"],
      /Accepting connections|Starting main loop/,
    ),
  );
}
