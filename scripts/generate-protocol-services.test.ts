import assert from "node:assert/strict";
import { test } from "node:test";

import { connectionMessages, messages, services, streamMessages } from "../src/protocol/schema/schema.ts";
import { toAgent, toSupervisor, type ServiceDefinition } from "../src/protocol/schema/types.ts";
import { serviceMistakes } from "./generate-protocol-services.ts";

const schema = { messages, services, connectionMessages, streamMessages };

function changed(name: string, change: Partial<ServiceDefinition>): string[] {
  const service = services[name];
  assert.ok(service !== undefined);
  return serviceMistakes({ ...schema, services: { ...services, [name]: { ...service, ...change } } });
}

test("the schema does not contradict itself", () => {
  assert.deepEqual(serviceMistakes(schema), []);
});

const silent = { messages: [], data: [] };

const wrong: Record<string, [string[], RegExp]> = {
  "two services that one message opens": [
    changed("ping", { opens: ["Ping", "Exec"] }),
    /Exec opens (ping and command|command and ping)/,
  ],
  "a message that opens a stream here and ends one there": [
    changed("ping", { acceptor: { ...silent, ends: ["Pong", "Exec"] } }),
    /Exec .* in ping and .* in command/,
  ],
  "a message that both sides send": [
    changed("command", { opener: { messages: ["Signal", "Resize", "Release", "ExecStarted"], data: [] } }),
    /ExecStarted .* the acceptor .* the opener|ExecStarted .* does not travel/,
  ],
  "an end that is none": [
    changed("metrics", { acceptor: { messages: ["Metrics"], data: [], ends: ["Metrics"] } }),
    /Metrics ends it and does not/,
  ],
  "a message of the connection's": [
    changed("ping", { acceptor: { ...silent, ends: ["Pong", "Ready"] } }),
    /Ready comes from the acceptor in ping and belongs to the connection/,
  ],
  "a message that every stream has": [
    changed("ping", { opener: { messages: ["Credit"], data: [] } }),
    /Credit belongs to every stream/,
  ],
  "a message that does not exist": [changed("ping", { opens: ["Pinge"] }), /no message Pinge/],
  "a service that nobody opens": [changed("events", { opens: [] }), /nothing opens it/],
  "a service that nobody may open": [changed("events", { routes: [] }), /nobody may open it/],
  "an opening message that does not travel": [
    changed("touch", { routes: toAgent }),
    /touch: Touch does not travel/,
  ],
  "a route that nobody uses": [
    changed("ping", { routes: toSupervisor }),
    /Ping: no service has a use for it on supervisor→agent/,
  ],
};

for (const [what, [mistakes, expected]] of Object.entries(wrong)) {
  test(`${what} is found`, () => {
    assert.match(mistakes.join("\n"), expected);
  });
}
