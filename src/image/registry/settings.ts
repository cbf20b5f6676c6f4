import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { InvalidConfigError } from "../../errors/index.ts";
import type { GlobalConfig } from "../../config/global/global-config.ts";
import type { Home } from "../../store/home.ts";
import type { RegistryAuth } from "../../config/registry-config.ts";
import { findCredential } from "../credentials/search.ts";
import { defaultRetryPolicy, type RetryPolicy } from "./retry.ts";
import { RegistrySession } from "./session.ts";

/** How one pull wants its registry to be spoken to. What is left out is taken from `config.json`. */
export interface RegistryOptions {
  readonly auth?: RegistryAuth | undefined;
  /**
   * As docker's `insecure-registries`: TLS whose certificate nobody verifies, and plain HTTP where there is no TLS. A
   * password then travels as safely as the network is. Addresses of this machine itself may speak plain HTTP without it.
   */
  readonly insecure?: boolean | undefined;
  /** PEM certificates that are trusted besides the system's. */
  readonly caCertificates?: readonly string[] | undefined;
}

export interface SessionSettings {
  readonly home: Home;
  readonly config: GlobalConfig;
  readonly registry?: RegistryOptions | undefined;
  readonly environment?: NodeJS.ProcessEnv | undefined;
  readonly retry?: RetryPolicy | undefined;
  /** How long the registry may be silent, in milliseconds. */
  readonly silenceMs?: number | undefined;
  /** Ends the search for a credential. */
  readonly signal?: AbortSignal | undefined;
}

const defaultSilenceMs = 60_000;

/** @throws InvalidConfigError when a certificate or an entry of `config.json` is not usable, ImageError */
export async function openSession(domain: string, settings: SessionSettings): Promise<RegistrySession> {
  const { home, config, registry, environment = process.env } = settings;
  const { credential, notes } = await findCredential(domain, {
    explicit: registry?.auth,
    home,
    config,
    environment,
    signal: settings.signal,
  });
  const caCertificates = [...(registry?.caCertificates ?? [])];
  const caFile = config.registries?.ca_certs;
  if (typeof caFile === "string") caCertificates.push(await readCertificates(caFile));
  return new RegistrySession({
    domain,
    credential,
    credentialNotes: notes,
    insecure: registry?.insecure ?? config.registries?.hosts?.[domain]?.insecure ?? false,
    caCertificates: caCertificates.flatMap(splitCertificates),
    environment,
    retry: settings.retry ?? defaultRetryPolicy,
    silenceMs: settings.silenceMs ?? defaultSilenceMs,
  });
}

/**
 * Reads a PEM file of one or more certificates.
 *
 * @throws InvalidConfigError
 */
export async function readCertificates(path: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new InvalidConfigError(`the CA certificates ${path} cannot be read: ${String(error)}`, {
      cause: error,
    });
  }
  try {
    splitCertificates(text);
  } catch (error) {
    throw new InvalidConfigError(`${path} holds no PEM certificates`, { cause: error });
  }
  return text;
}

/** @throws InvalidConfigError when there is no certificate or one is damaged */
export function splitCertificates(pem: string): string[] {
  const found = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (found.length === 0) {
    throw new InvalidConfigError("there is no PEM certificate in what was given as CA certificates", {
      hint: "A certificate in PEM begins with -----BEGIN CERTIFICATE-----.",
    });
  }
  for (const certificate of found) {
    try {
      new X509Certificate(certificate);
    } catch (error) {
      throw new InvalidConfigError("a CA certificate is damaged", { cause: error });
    }
  }
  return found;
}
