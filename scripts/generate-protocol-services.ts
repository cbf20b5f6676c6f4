import {
  reverse,
  type MessageDefinition,
  type Route,
  type ServiceDefinition,
} from "../src/protocol/schema/types.ts";

/** The part of a schema that says who may say what where. */
export interface Conversation {
  readonly messages: Readonly<Record<string, MessageDefinition>>;
  readonly services: Readonly<Record<string, ServiceDefinition>>;
  readonly connectionMessages: readonly string[];
  readonly streamMessages: readonly string[];
}

type Role =
  "opens a stream" | "comes from the opener" | "comes from the acceptor" | "belongs to the connection";

/** Everything in the table of services that contradicts itself, or the messages. */
export function serviceMistakes(schema: Conversation): string[] {
  const { messages, services, connectionMessages, streamMessages } = schema;
  const mistakes: string[] = [];
  const roles = new Map<string, { role: Role; owner: string }>();
  const routes = new Map<string, Set<Route>>();
  const opened = new Map<string, string>();

  const takes = (owner: string, name: string, role: Role, on: readonly Route[]): void => {
    const definition = messages[name];
    if (definition === undefined) {
      mistakes.push(`${owner}: no message ${name}`);
      return;
    }
    const before = roles.get(name);
    if (before !== undefined && before.role !== role)
      mistakes.push(`${name} ${role} in ${owner} and ${before.role} in ${before.owner}`);
    roles.set(name, { role, owner });
    const used = on.filter((route) => definition.routes.includes(route));
    if (used.length === 0) mistakes.push(`${owner}: ${name} does not travel where the service does`);
    const known = routes.get(name) ?? new Set();
    for (const route of used) known.add(route);
    routes.set(name, known);
  };

  for (const name of connectionMessages) {
    if (!streamMessages.includes(name))
      takes("the connection", name, "belongs to the connection", Object.keys(reverse) as Route[]);
  }
  for (const [name, service] of Object.entries(services)) {
    if (service.opens.length === 0) mistakes.push(`${name}: nothing opens it`);
    if (service.routes.length === 0) mistakes.push(`${name}: nobody may open it`);
    const back = service.routes.map((route) => reverse[route]);
    for (const opener of service.opens) {
      takes(name, opener, "opens a stream", service.routes);
      const other = opened.get(opener);
      if (other !== undefined) mistakes.push(`${opener} opens ${name} and ${other}`);
      opened.set(opener, name);
      const missing = service.routes.filter((route) => !messages[opener]?.routes.includes(route));
      if (missing.length > 0) mistakes.push(`${name}: ${opener} does not travel on ${missing.join(", ")}`);
    }
    for (const message of service.opener.messages)
      takes(name, message, "comes from the opener", service.routes);
    for (const message of [...service.acceptor.messages, ...service.acceptor.ends])
      takes(name, message, "comes from the acceptor", back);
    for (const message of service.acceptor.ends) {
      if (service.acceptor.messages.includes(message))
        mistakes.push(`${name}: ${message} ends it and does not`);
    }
    for (const message of [...service.opens, ...service.opener.messages, ...service.acceptor.messages]) {
      if (streamMessages.includes(message))
        mistakes.push(`${name}: ${message} belongs to every stream already`);
    }
  }
  for (const [name, definition] of Object.entries(messages)) {
    if (streamMessages.includes(name)) continue;
    const unused = definition.routes.filter((route) => routes.get(name)?.has(route) !== true);
    if (unused.length > 0) mistakes.push(`${name}: no service has a use for it on ${unused.join(", ")}`);
  }
  return mistakes;
}
