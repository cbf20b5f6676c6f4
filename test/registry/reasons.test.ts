/** What registries and token services answer: their own reasons, and the forms that other clients take. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { HttpError, ImageError, MicrosandboxError } from "../../src/errors/index.ts";
import { tryLogin } from "../../src/image/registry/try-login.ts";
import { pullImage } from "../../src/image/pull/pull.ts";
import type { PullOptions } from "../../src/image/pull/pull-options.ts";
import { parseChallenges } from "../../src/image/registry/challenge.ts";
import { image, layer, newHome, push, scratch, type BuiltImage } from "./images.ts";
import { MisbehavingProxy, type Misbehaviour } from "./misbehaving-proxy.ts";
import { RegistryServer } from "./registry-server.ts";

let directory: Awaited<ReturnType<typeof scratch>>;
let server: RegistryServer;
let proxy: MisbehavingProxy;
let built: BuiltImage;

before(async () => {
  directory = await scratch();
  server = await RegistryServer.start(directory.path);
  proxy = await MisbehavingProxy.start(server.host);
  built = image([await layer({ file: "1" })]);
  await push(built, `${server.host}/app:1`);
});

after(async () => {
  await proxy[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

const retry = { attempts: 2, baseMs: 1, maximumMs: 5 };

async function pull(misbehave: Misbehaviour, options: Partial<PullOptions> = {}): Promise<string> {
  proxy.misbehave = misbehave;
  const home = await newHome(directory.path);
  return (await pullImage(`${proxy.host}/app:1`, { home, environment: {}, retry, ...options }))
    .manifestDigest;
}

async function failure(misbehave: Misbehaviour, options?: Partial<PullOptions>): Promise<MicrosandboxError> {
  const error: unknown = await pull(misbehave, options).catch((reason: unknown) => reason);
  assert.ok(error instanceof MicrosandboxError, String(error));
  return error;
}

const registrySays =
  (status: number, body: unknown, type = "application/json"): Misbehaviour =>
  (request, response) => {
    if (!request.path.includes("/manifests/")) return false;
    response.writeHead(status, { "content-type": type });
    response.end(
      request.method === "HEAD" ? undefined : typeof body === "string" ? body : JSON.stringify(body),
    );
    return true;
  };

const spec = (code: string, message: string): object => ({ errors: [{ code, message, detail: null }] });

test("a registry's own reason is told, and logging in is only proposed where it may help", async () => {
  const quota = await failure(registrySays(403, spec("DENIED", "pull quota exceeded")));
  assert.ok(quota instanceof ImageError);
  assert.match(quota.message, /does not let anonymous users read app \(403\): pull quota exceeded$/);
  assert.doesNotMatch(quota.hint, /log in/);

  const denied = await failure(
    registrySays(403, spec("DENIED", "requested access to the resource is denied")),
  );
  assert.match(denied.message, /resource is denied$/);
  assert.match(denied.hint, /log in/);

  const silent = await failure(registrySays(403, "<html>no</html>", "text/html"));
  assert.match(silent.message, /\(403\)$/);
  assert.match(silent.hint, /log in/);

  const unauthorized = await failure(
    registrySays(401, spec("UNAUTHORIZED", "account\nsuspended \u001b[31m")),
  );
  assert.match(unauthorized.message, /\(401\): account suspended \[31m$/);
  assert.match(unauthorized.hint, /log in/);

  const limited = await failure(registrySays(429, spec("TOOMANYREQUESTS", "100 pulls per 6 hours")));
  assert.ok(limited instanceof HttpError);
  assert.match(limited.message, /answered 429: 100 pulls per 6 hours$/);

  const missing = await failure(
    registrySays(404, spec("NAME_UNKNOWN", "repository was renamed to team/app")),
  );
  assert.match(missing.message, /there is no image .*: repository was renamed to team\/app$/);

  const plain = await failure(registrySays(503, "down until 9 o'clock\n", "text/plain; charset=utf-8"));
  assert.match(plain.message, /answered 503: down until 9 o'clock$/);

  const long = await failure(registrySays(403, spec("DENIED", "x".repeat(50_000))));
  assert.ok(long.message.length < 1000);

  const layerDenied = await failure((request, response) => {
    if (!request.path.endsWith(built.layers[0]?.blob.digest ?? "")) return false;
    response.writeHead(403).end(JSON.stringify(spec("DENIED", "blocked by the scan policy")));
    return true;
  });
  assert.match(layerDenied.message, /blocked by the scan policy$/);
});

/** A registry that wants a token, whose service is at the same place. */
function withTokens(
  answer: unknown,
  challenge: (realm: string) => string | string[],
  status = 200,
): Misbehaviour {
  return (request, response) => {
    if (request.path.startsWith("/token")) {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
      return true;
    }
    if (request.headers.authorization === "Bearer right") return false;
    response.setHeader("www-authenticate", challenge(`http://${proxy.host}/token`));
    response.writeHead(401).end();
    return true;
  };
}

const bearer = (realm: string): string => `Bearer realm="${realm}",service="s"`;

test("tokens are taken in every form that other clients take", async () => {
  for (const answer of [
    { token: "right" },
    { access_token: "right" },
    { token: "", access_token: "right" },
    { token: null, access_token: "right", expires_in: null, issued_at: null, refresh_token: null },
    { token: "right", access_token: "", expires_in: "300" },
    { token: "right", expires_in: 0 },
    { token: "right", expires_in: {} },
  ]) {
    assert.equal(await pull(withTokens(answer, bearer)), built.manifest.digest, JSON.stringify(answer));
  }
  for (const answer of [
    {},
    { token: "" },
    { token: null, access_token: null },
    { token: "a\nb" },
    [],
    null,
  ]) {
    assert.match(
      (await failure(withTokens(answer, bearer))).message,
      /sent no token/,
      JSON.stringify(answer),
    );
  }
});

test("a token service's own reason is told", async () => {
  const denied = await failure(withTokens({ details: "the trial of this account has ended" }, bearer, 403));
  assert.match(denied.message, /gives no anonymous access \(403\): the trial of this account has ended$/);
  assert.doesNotMatch(denied.hint, /[Ll]og in/);
  proxy.misbehave = withTokens(
    { error: "invalid_grant", error_description: "the password has expired" },
    bearer,
    401,
  );
  const home = await newHome(directory.path);
  await assert.rejects(tryLogin(home, proxy.host, { username: "me", password: "x" }), (error) => {
    assert.ok(error instanceof ImageError);
    assert.match(error.message, /refuses the user name or password \(401\): the password has expired$/);
    return true;
  });
});

test("a challenge is found among others, in one header or several", async () => {
  const forms: ((realm: string) => string | string[])[] = [
    (realm) => `Negotiate, ${bearer(realm)}`,
    (realm) => ["Negotiate", bearer(realm)],
    (realm) => ["Negotiate TlRMTVNTUAACAAAA==", "NTLM", bearer(realm)],
    (realm) => `Negotiate oYG2MIGzoAMKAQ=, ${bearer(realm)}, Basic realm="x"`,
    (realm) => `Basic realm="a, b", ${bearer(realm)}`,
    (realm) => `Digest qop=@auth, ${bearer(realm)}`,
  ];
  for (const form of forms) {
    assert.equal(
      await pull(withTokens({ token: "right" }, form)),
      built.manifest.digest,
      String(form("http://realm")),
    );
  }
  // What is one parameter in base64 is no name of a parameter, and the other way round.
  assert.deepEqual(
    parseChallenges('Negotiate abc==, Bearer realm=x,service = "y"').map(({ scheme, parameters }) => [
      scheme,
      [...parameters],
    ]),
    [
      ["negotiate", []],
      [
        "bearer",
        [
          ["realm", "x"],
          ["service", "y"],
        ],
      ],
    ],
  );
});
