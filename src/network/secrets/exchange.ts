import type { SecretConfig } from "../../config/network/interception/secret-type.ts";
import type { RequestHead } from "../http/message.ts";
import type { SecretViolation } from "../events.ts";
import type { Blocking, Standing } from "./standing.ts";

const mostPathCharacters = 1024;

/** A placeholder where it may not be. */
export interface Offence {
  readonly secret: SecretConfig;
  readonly action: Blocking;
  readonly location: SecretViolation["location"];
  readonly form: SecretViolation["form"];
}

/** What is said about something a guest sends: where it is to, and as what. Nothing in it comes from a secret's value. */
export interface Subject {
  readonly protocol: SecretViolation["protocol"];
  readonly host: string | null;
  readonly method: string | null;
  readonly path: string | null;
}

/** @param head as the guest has written it */
export function subjectOf(head: RequestHead, isConnect: boolean, host: string | null): Subject {
  const version = head.version === "2" ? "http/2" : "http/1";
  return {
    protocol: isConnect ? "connect" : version,
    host,
    method: head.method.slice(0, mostPathCharacters),
    path: pathOf(head.target).slice(0, mostPathCharacters),
  };
}

/** Without the query, and without what is before the path in the absolute form (RFC 9112, 3.2.2). */
function pathOf(target: string): string {
  const path = target.split("?", 1)[0] ?? "";
  return path.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*/i, "");
}

/** One request, from its head to its response. */
export class Exchange {
  readonly subject: Subject;
  /** Whom it is to, as patterns are compared with: see {@link Standing}. */
  readonly name: string | null;
  /** Of each placeholder. */
  readonly standings: readonly Standing[];
  /** Values of the secrets that were put in. */
  readonly values = new Map<SecretConfig, string>();
  /** Their variables. */
  readonly secrets = new Set<string>();

  constructor(subject: Subject, name: string | null, standings: readonly Standing[]) {
    this.subject = subject;
    this.name = name;
    this.standings = standings;
  }

  putIn(secret: SecretConfig, value: string): void {
    this.values.set(secret, value);
    this.secrets.add(secret.envVar);
  }
}
