import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeCertificates, type Certificates } from "../registry/certificates.ts";
import { scratch } from "../registry/images.ts";
import { daemons, type Daemon } from "./daemons.ts";
import { makeIndexes } from "./indexes.ts";
import { PlainServers } from "./plain-servers.ts";
import { addUsualNames, Resolver } from "./resolver.ts";
import { Tree } from "./tree-programs.ts";
import { WebServer } from "./web-server.ts";
import { Wire } from "./wire.ts";

export interface InternetOptions {
  /** Make the repositories of packages and of git as well. */
  readonly packages?: boolean;
  readonly daemons?: readonly Daemon[];
}

/** All that is outside. `namespace.ts` has made the place for it. */
export class Internet implements AsyncDisposable {
  readonly tree: Tree;
  readonly resolver: Resolver;
  readonly web: WebServer;
  readonly servers: PlainServers;
  readonly wire: Wire;
  readonly certificates: Certificates;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    parts: Omit<Internet, "close" | typeof Symbol.asyncDispose>,
    stack: AsyncDisposableStack,
  ) {
    this.tree = parts.tree;
    this.resolver = parts.resolver;
    this.web = parts.web;
    this.servers = parts.servers;
    this.wire = parts.wire;
    this.certificates = parts.certificates;
    this.#stack = stack;
  }

  static async start({ packages = false, daemons: wanted = [] }: InternetOptions = {}): Promise<Internet> {
    await using stack = new AsyncDisposableStack();
    const directory = stack.use(await scratch());
    const tree = stack.use(await Tree.open());
    const certificates = await makeCertificates(directory.path, [
      "*.example.com",
      "example.com",
      "*.test",
      "*.attacker.test",
    ]);
    const wire = await Wire.watch(tree);
    const resolver = stack.use(await Resolver.start());
    addUsualNames(resolver);
    const web = stack.use(await WebServer.start(tree, certificates));
    const servers = stack.use(await PlainServers.start());
    if (packages) {
      await makeIndexes(tree, "/srv/www", "http://registry.example.com/npm");
      await tree.shell(await readFile(join(import.meta.dirname, "make-packages.sh"), "utf8"));
    }
    await Promise.all(wanted.map((name) => daemons[name](tree)));
    await writeFile(join(tree.root, "srv/ca.pem"), certificates.caPem);
    return new Internet({ tree, resolver, web, servers, wire, certificates }, stack.move());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
