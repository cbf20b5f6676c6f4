import { createHash, createPrivateKey, sign, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Certificates } from "./certificates.ts";

export interface TokenRequestSeen {
  readonly method: string;
  readonly authorization: string | undefined;
  readonly query: URLSearchParams;
  readonly form: URLSearchParams;
}

/**
 * A token service as distribution's specification describes it, whose tokens the real registry verifies: ES256, with the
 * certificate in the header.
 */
export class TokenServer implements AsyncDisposable {
  readonly seen: TokenRequestSeen[] = [];
  readonly #server: Server;
  readonly #certificates: Certificates;
  /** Basic credentials that are needed, as in the header; null = everyone gets a token. */
  required: string | null = null;
  /** Refresh token that is accepted. */
  refreshToken = "long-lived";
  /** Of the token, in seconds from now; negative = it is expired already. */
  lifetime = 300;
  /** What the answer says of it. */
  announced = 300;

  constructor(certificates: Certificates) {
    this.#certificates = certificates;
    this.#server = createServer((request, response) => {
      void this.#answer(request).then((answer) => {
        response.writeHead(answer === null ? 401 : 200, { "content-type": "application/json" });
        response.end(answer === null ? "{}" : JSON.stringify(answer));
      });
    });
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  /** The `auth` of the registry's configuration. */
  get registrySettings(): string {
    const realm = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/token`;
    return `{token: {realm: "${realm}", service: "test-registry", issuer: "test-issuer", rootcertbundle: "${this.#certificates.caFile}"}}`;
  }

  async #answer(request: IncomingMessage): Promise<object | null> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { searchParams: query } = new URL(request.url ?? "", "http://x");
    const form = new URLSearchParams(Buffer.concat(chunks).toString());
    const { method = "", headers } = request;
    this.seen.push({ method, authorization: headers.authorization, query, form });
    if (method === "POST") {
      if (form.get("refresh_token") !== this.refreshToken) return null;
      return { access_token: await this.#token(form.get("scope") ?? ""), expires_in: this.announced };
    }
    if (this.required !== null && headers.authorization !== this.required) return null;
    return { token: await this.#token(query.get("scope") ?? ""), expires_in: this.announced };
  }

  async #token(scope: string): Promise<string> {
    const [type = "", name = "", actions = ""] = scope.split(":");
    const certificate = new X509Certificate(await readFile(this.#certificates.certFile));
    const now = Math.floor(Date.now() / 1000);
    const header = { typ: "JWT", alg: "ES256", x5c: [certificate.raw.toString("base64")] };
    const claims = {
      iss: "test-issuer",
      sub: "",
      aud: "test-registry",
      // The registry allows a minute of leeway.
      exp: now + this.lifetime,
      nbf: now - 600,
      iat: now - 600,
      jti: createHash("sha256").update(String(performance.now())).digest("hex"),
      access: [{ type, name, actions: actions.split(",") }],
    };
    const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString("base64url");
    const signed = `${encode(header)}.${encode(claims)}`;
    const key = createPrivateKey(await readFile(this.#certificates.keyFile));
    const signature = sign("sha256", Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" });
    return `${signed}.${signature.toString("base64url")}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
