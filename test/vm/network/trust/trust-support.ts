import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createSecureServer, type Http2SecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type { Authority } from "../../../../src/certificates/authority.ts";
import { Leaves } from "../../../../src/certificates/leaves.ts";
import { installTar } from "../../../internet/debian-tree.ts";
import { debianTar } from "../../../registry/debian.ts";

const packages = [
  ...["ca-certificates", "openssl", "gnutls-bin", "curl", "wget", "git"],
  ...["python3", "python3-requests", "python3-pip", "python3-grpcio"],
  ...["python3-httpx", "python3-h2", "python3-aiohttp", "python3-websockets"],
  ...["ca-certificates-java", "openjdk-17-jre-headless", "golang-go", "libnss3-tools"],
];

const run = promisify(execFile);

/** Java's store as its makers ship it: PKCS #12 without a password. */
export const javaStore = "/opt/java/makers/lib/security/cacerts";

const makeJavaStore = [
  `mkdir -p ${dirname(javaStore)}`,
  [
    "keytool -importkeystore -noprompt -srckeystore /etc/ssl/certs/java/cacerts -srcstorepass changeit",
    `-destkeystore ${javaStore} -deststoretype PKCS12 -deststorepass changeit`,
    ...["certProtectionAlgorithm", "macAlgorithm"].map((name) => `-J-Dkeystore.pkcs12.${name}=NONE`),
  ].join(" "),
];

/** Programs of Go's and Java's are made in it. Go's compiler goes again; Java's is a part of what runs its programs. */
function recipe(): string[] {
  const write = (name: string): string =>
    `echo ${readFileSync(join(import.meta.dirname, "../guest", name), "base64")} | base64 -d > ${name}`;
  const build = [
    "cd /root",
    write("go-get.go"),
    "CGO_ENABLED=0 go build -ldflags=-s -o /usr/local/bin/go-get go-get.go",
    write("JavaGet.java"),
    "java -m jdk.compiler/com.sun.tools.javac.Main -d /usr/local/share/java JavaGet.java",
    "rm -rf /root/go-get.go /root/JavaGet.java /root/.cache",
    "apt-get purge -y golang-go",
    "apt-get autoremove --purge -y",
  ];
  const left = ["doc/*", "man/*", "locale/*", "perl/*/unicore/*"].map((path) => `/usr/share/${path}`);
  return [
    "--variant=minbase",
    `--include=${packages.join(",")}`,
    ...[...left, "/usr/lib/gcc/*", "/usr/lib/*/libLLVM*"].map((path) => `--dpkgopt=path-exclude=${path}`),
    // Java's package makes links in it.
    '--essential-hook=mkdir -p "$1/usr/share/man/man1"',
    `--customize-hook=chroot "$1" sh -ec "${[...build, ...makeJavaStore].join("; ")}"`,
    "bookworm",
  ];
}

export const imageName = "localhost/trust";

/** Gives a home a Debian with programs that have all the habits there are. */
export async function installImage(home: string): Promise<void> {
  await installTar(home, "trust", () => debianTar(recipe()));
}

/** Puts the program of Go's from it, which needs no other file, into a directory. */
export async function installGoProgram(directory: string): Promise<void> {
  const tar = await debianTar(recipe());
  await run("tar", ["-C", directory, "--strip-components=4", "-xf", tar, "./usr/local/bin/go-get"]);
}

/** As whom the host serves the guest. */
export const serverName = "host.microsandbox.internal";

/** A server of HTTPS on the host, whose certificate is of an authority's making. It speaks HTTP/1.1 and HTTP/2. */
export class SignedServer implements AsyncDisposable {
  readonly #server: Http2SecureServer;
  /** Paths that were asked for, with the name of the program as it says it. */
  readonly asked: string[] = [];
  authority: Authority;

  private constructor(authority: Authority) {
    this.authority = authority;
    this.#server = createSecureServer(
      {
        allowHTTP1: true,
        SNICallback: (name, done) => {
          const { certificate, key } = this.authority;
          done(null, new Leaves(certificate, key).contextFor(name));
        },
      },
      ({ url, headers }, response) => {
        this.asked.push(`${url} ${headers["user-agent"] ?? ""}`);
        // As git's servers of plain files say what they have.
        response.end(url.startsWith("/git/info/refs") ? `${"1".repeat(40)}\trefs/heads/main\n` : "trusted");
      },
    );
  }

  static async start(authority: Authority): Promise<SignedServer> {
    const server = new SignedServer(authority);
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  get origin(): string {
    return `https://${serverName}:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    await once(this.#server, "close");
  }
}
