import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import { GivenSecret, type SecretProvider } from "../../src/config/network/interception/secret-material.ts";
import { Client, type ClientServices } from "../../src/supervisor/clients/client.ts";
import { ServiceRegistry } from "../../src/supervisor/services/registry.ts";
import { SupervisorConnection } from "../../src/api/control/connection.ts";
import { provideSecrets } from "../../src/api/providers/provide-secrets.ts";

/** A program and its sandbox's supervisor, over a real connection. */
function connected(material: Record<string, string | SecretProvider>) {
  const [program, supervisor] = duplexPair();
  const given = new Map(Object.entries(material).map(([name, what]) => [name, new GivenSecret(what)]));
  const greeting = { message: () => undefined, lost: () => undefined };
  const connection = SupervisorConnection.inherited(program, greeting, provideSecrets(given));
  const services = { disconnected: () => undefined } as unknown as ClientServices;
  const client = new Client(supervisor, services, new ServiceRegistry(), true);
  return { connection, client };
}

const never = new AbortController().signal;

test("a program gives its values when the sandbox starts, and says for which it has functions", async () => {
  const { client, connection } = connected({ FIXED: "value", FETCHED: () => "fetched" });
  const message = { type: "GiveSecrets", envVars: ["FIXED", "FETCHED", "OTHER"] } as const;
  assert.deepEqual(await client.ask(message, never), {
    type: "SecretsGiven",
    secrets: [
      { envVar: "FIXED", value: "value" },
      { envVar: "FETCHED", value: null },
    ],
  });
  connection.close();
});

test("a function gives a string, or a value that ends", async () => {
  const date = new Date(1_800_000_000_000);
  const { client, connection } = connected({
    PLAIN: ({ host }) => `for ${host}`,
    DATED: async () => ({ value: "dated", expiresAt: date }),
    COUNTED: async () => ({ value: "counted", expiresAt: 5.5 }),
  });
  const fetched = async (envVar: string) =>
    client.ask({ type: "FetchSecret", envVar, host: "a.example" }, never);
  assert.deepEqual(await fetched("PLAIN"), {
    type: "SecretFetched",
    value: "for a.example",
    expiresMs: null,
  });
  assert.deepEqual(await fetched("DATED"), {
    type: "SecretFetched",
    value: "dated",
    expiresMs: date.getTime(),
  });
  assert.deepEqual(await fetched("COUNTED"), { type: "SecretFetched", value: "counted", expiresMs: 5 });
  await assert.rejects(fetched("OTHER"), /no function for OTHER/);
  connection.close();
});

test("what a function fails by stays in its program, and what is no value is refused", async (t) => {
  const warnings: Error[] = [];
  t.mock.method(process, "emitWarning", (message: string) => warnings.push(new Error(message)));
  const { client, connection } = connected({
    THROWS: () => {
      throw new Error("token=hunter2 was refused");
    },
    NUMBER: (() => 7) as unknown as SecretProvider,
    ENDLESS: () => ({ value: "x", expiresAt: Number.NaN }),
  });
  const fetched = async (envVar: string) => client.ask({ type: "FetchSecret", envVar, host: "h" }, never);
  for (let times = 0; times < 2; times++) {
    await assert.rejects(fetched("THROWS"), (error: Error) => {
      assert.doesNotMatch(error.message, /hunter2/);
      return true;
    });
  }
  assert.equal(warnings.length, 1);
  await assert.rejects(fetched("NUMBER"), /no string/);
  await assert.rejects(fetched("ENDLESS"), /no time/);
  connection.close();
});

test("a function hears that nobody waits any more, and a program that is gone gives nothing", async () => {
  let isGivenUp: (value: unknown) => void = () => undefined;
  const givenUp = new Promise((resolve) => (isGivenUp = resolve));
  const { client, connection } = connected({
    SLOW: ({ signal }) =>
      new Promise(() => {
        signal.addEventListener("abort", isGivenUp);
      }),
  });
  const over = new AbortController();
  const asked = client.ask({ type: "FetchSecret", envVar: "SLOW", host: "h" }, over.signal);
  setImmediate(() => over.abort(new Error("too late")));
  await assert.rejects(asked, /too late/);
  await givenUp;
  const last = client.ask({ type: "FetchSecret", envVar: "SLOW", host: "h" }, never);
  connection.close();
  await assert.rejects(last);
});
