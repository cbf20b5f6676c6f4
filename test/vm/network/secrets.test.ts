import "../../internet/namespace.ts";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import {
  CustomError,
  InvalidConfigError,
  Sandbox,
  UnsupportedOperationError,
  type NetworkLogEvent,
} from "../../../src/index.ts";
import { SecretServer } from "../../internet/secret-server.ts";
import { processesGone, processesOf, processOf, withEnvironment } from "../lifecycle-support.ts";
import { eventually } from "../support.ts";
import type { Needs } from "../tags.ts";
import { onTheInternet, said, succeeds, useInternet } from "./network-support.ts";

export const needs: Needs = ["running", "internet"];

// Secrets from the builder to a real server, and where their values are and are not.

const timeout = 180_000;
const value = "sk-live-4f9d0c2b7a6e5d1e-value";
const ofHost = "host-env-91b0c4d7-value";
const tokens: string[] = [];
const { home, internet } = await useInternet();
const server = await SecretServer.start(internet.certificates);
after(() => server[Symbol.asyncDispose]());
const tokenFile = join(home, "token");
let sandbox: Sandbox;

const make = (name: string) =>
  onTheInternet(name).network((n) =>
    n.tls((t) => t.interceptedPorts([443, 8443]).upstreamCaCert(internet.certificates.caFile)),
  );

before(async () => {
  await writeFile(tokenFile, "of-a-file-1\n");
  // A program often has what it gives in its own environment.
  sandbox = await withEnvironment({ MSB_TEST_HOST_SECRET: ofHost, COPY_OF_KEY: value }, () =>
    make("secrets")
      .secretEnv("API_KEY", value, "api.example.com")
      .secret((s) =>
        s.env("HOST_KEY").source({ kind: "env", var: "MSB_TEST_HOST_SECRET" }).allow("api.example.com"),
      )
      .secret((s) => s.env("FILE_KEY").file(tokenFile).allow("api.example.com"))
      .secret((s) =>
        s
          .env("TOKEN")
          .provider(({ host }) => {
            tokens.push(`${host} ${tokens.length}`);
            return `token-${tokens.length}`;
          })
          .allow("api.example.com"),
      )
      .create(),
  );
});

/** What the server was told by a request that names a variable of the guest. */
async function sent(name: string, host = "api.example.com"): Promise<string | undefined> {
  await said(
    sandbox,
    `curl -sS --max-time 20 -H "Authorization: Bearer $${name}" https://${host}:8443/ 2>&1`,
  );
  return server.take()[0]?.headers.authorization;
}

test(
  "values of every source reach the host that they are meant for, and the guest has placeholders",
  { timeout },
  async () => {
    assert.equal(await said(sandbox, "echo $API_KEY $TOKEN"), "$MSB_API_KEY $MSB_TOKEN");
    assert.equal(
      await succeeds(sandbox, 'curl -sS -H "Authorization: Bearer $API_KEY" https://api.example.com:8443/v1'),
      "done",
    );
    assert.equal(server.take()[0]?.headers.authorization, `Bearer ${value}`);
    assert.equal(await sent("HOST_KEY"), `Bearer ${ofHost}`);
    assert.equal(await sent("FILE_KEY"), "Bearer of-a-file-1");
    await writeFile(tokenFile, "of-a-file-2\n");
    assert.equal(await sent("FILE_KEY"), "Bearer of-a-file-2");
  },
);

test(
  "a function is asked once, and again when the host does not take what it gave",
  { timeout },
  async () => {
    assert.equal(await sent("TOKEN"), "Bearer token-1");
    server.statuses.push(401);
    assert.equal(await sent("TOKEN"), "Bearer token-1");
    assert.equal(await sent("TOKEN"), "Bearer token-2");
    assert.equal(await sent("TOKEN"), "Bearer token-2");
    assert.deepEqual(tokens, ["api.example.com 0", "api.example.com 1"]);
  },
);

test(
  "a host that a secret is not meant for gets nothing, and the log says so without a value",
  { timeout },
  async () => {
    assert.equal(await sent("API_KEY", "www.example.com"), undefined);
    const events: NetworkLogEvent[] = [];
    for await (const event of sandbox.networkEvents()) events.push(event);
    const violation = events.find((event) => event.kind === "secret-violation");
    assert.equal(violation?.envVar, "API_KEY");
    assert.equal(violation.host, "www.example.com");
    assert.ok(events.some((event) => event.kind === "http" && event.secrets.includes("API_KEY")));
  },
);

test(
  "values are in one file that only its owner can read, and in no process's arguments or environment",
  { timeout },
  async () => {
    const values = [value, ofHost, "of-a-file-2", "token-2"];
    const directory = join(home, "sandboxes/secrets");
    // Its disk, too: it is larger than what can be read at once.
    const patterns = values.flatMap((one) => ["-e", one]);
    const { stdout } = await promisify(execFile)("grep", ["-rlF", ...patterns, directory]);
    const found = stdout.trim().split("\n");
    assert.deepEqual(found, [join(directory, "secrets.json")]);
    assert.equal((await stat(join(directory, "secrets.json"))).mode & 0o777, 0o600);
    assert.ok(!(await readFile(join(directory, "secrets.json"), "utf8")).includes(ofHost));
    const handle = await Sandbox.get("secrets");
    assert.ok(!values.some((one) => handle.configJson.includes(one)));
    for (const { pid } of await processesOf(home, "secrets")) {
      const shown =
        (await readFile(`/proc/${pid}/cmdline`, "utf8")) + (await readFile(`/proc/${pid}/environ`, "utf8"));
      assert.deepEqual(
        values.filter((one) => shown.includes(one)),
        [],
      );
      assert.ok(!shown.includes("COPY_OF_KEY"));
    }
  },
);

test(
  "a supervisor that is killed leaves the file, and a start goes on with it and asks for what is not kept",
  { timeout },
  async () => {
    process.kill(await processOf(home, "secrets", "supervisor"), "SIGKILL");
    await processesGone(home, "secrets");
    const handle = await eventually("the end", async () => {
      const now = await Sandbox.get("secrets");
      return now.status === "crashed" || now.status === "stopped" ? now : null;
    });
    assert.equal((await stat(join(home, "sandboxes/secrets/secrets.json"))).mode & 0o777, 0o600);
    assert.deepEqual(await handle.missingSecrets(), ["HOST_KEY", "TOKEN"]);
    await assert.rejects(handle.start({ secrets: { TOKEN: "given" } }), InvalidConfigError);
    await assert.rejects(handle.start({ secrets: { HOST_KEY: "x", OTHER: "y" } }), InvalidConfigError);
    await assert.rejects(
      handle.startDetached({ secrets: { HOST_KEY: "given", TOKEN: () => "function" } }),
      UnsupportedOperationError,
    );
    sandbox = await handle.start({ secrets: { HOST_KEY: "given-for-a-run", TOKEN: "a-token" } });
    assert.equal(await sent("API_KEY"), `Bearer ${value}`);
    assert.equal(await sent("HOST_KEY"), "Bearer given-for-a-run");
    assert.equal(await sent("TOKEN"), "Bearer a-token");
  },
);

test(
  "a running sandbox's secrets are changed for connections that come, and for its next start",
  { timeout },
  async () => {
    const rotated = "sk-live-rotated-value";
    const plan = await sandbox.modify({
      secrets: { API_KEY: { value: rotated, allowedHosts: ["api.example.com", "www.example.com"] } },
    });
    assert.deepEqual(
      plan.changes.map(({ name, change, disposition }) => [name, change, disposition]),
      [
        ["API_KEY", "rotated", "live"],
        ["API_KEY", "hosts updated", "live"],
      ],
    );
    assert.ok(plan.applied && !JSON.stringify(plan).includes(rotated));
    assert.equal(await sent("API_KEY"), `Bearer ${rotated}`);
    assert.equal(await sent("API_KEY", "www.example.com"), `Bearer ${rotated}`);
    assert.equal(await sent("HOST_KEY"), "Bearer given-for-a-run");
    await sandbox.modify({ secretsRemove: ["FILE_KEY"] });
    // What is no secret any more is text.
    assert.equal(await sent("FILE_KEY"), "Bearer $MSB_FILE_KEY");
    await assert.rejects(
      sandbox.modify({ secrets: { NEW: { value: "v-of-new", allowedHosts: ["api.example.com"] } } }),
      CustomError,
    );
    await sandbox.modify({
      secrets: { NEW: { value: "v-of-new", allowedHosts: ["api.example.com"] } },
      policy: "next_start",
    });
    sandbox = await sandbox.restart({ secrets: { HOST_KEY: "x-of-host", TOKEN: "a-token" } });
    assert.equal(await sent("API_KEY"), `Bearer ${rotated}`);
    assert.equal(await sent("NEW"), "Bearer v-of-new");
    assert.equal(await said(sandbox, "echo $NEW $FILE_KEY"), "$MSB_NEW");
  },
);

test(
  "a sandbox that is to end for a violation ends, says why, and takes its values with it",
  { timeout },
  async () => {
    const other = await make("terminated")
      .secret((s) =>
        s.env("API_KEY").value("another-value").allow("api.example.com").onViolation("block-and-terminate"),
      )
      .create();
    // Two at once, one variable, each its own value.
    assert.equal(
      await said(other, 'curl -sS -H "Authorization: $API_KEY" https://api.example.com:8443/'),
      "done",
    );
    assert.equal(server.take()[0]?.headers.authorization, "another-value");
    const ended = (await Sandbox.get("terminated")).waitUntilStopped();
    await other
      .shell('curl -sS -H "Authorization: $API_KEY" https://www.example.com:8443/')
      .catch(() => null);
    const { source } = await ended;
    assert.deepEqual(server.take(), []);
    assert.match(source ?? "", /API_KEY/);
    const state = JSON.parse(await readFile(join(home, "sandboxes/terminated/state.json"), "utf8")) as {
      reason: string;
    };
    assert.equal(state.reason, "SecretViolation");
    await Sandbox.remove("terminated");
    await assert.rejects(stat(join(home, "sandboxes/terminated")), { code: "ENOENT" });
    assert.equal(await sent("API_KEY"), "Bearer sk-live-rotated-value");
  },
);
