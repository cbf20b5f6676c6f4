import type { NetworkSettings } from "../../config/network/network-settings.ts";
import type { SecretEntry } from "../../config/network/interception/secret-settings.ts";
import type { ViolationSetting } from "../../config/network/interception/violation-setting.ts";
import { httpRuleText } from "./http-rule-flag.ts";

type Intercepted = Pick<
  NetworkSettings,
  "tls" | "secrets" | "secretViolation" | "http" | "trustHostCAs" | "strict"
>;

/** What is read of what the guest sends, and what is put into it: no value of a secret. */
export function describeInterception(network: Intercepted): string[] {
  const { tls, secrets, secretViolation, http, trustHostCAs, strict } = network;
  return [
    ...(tls === null ? [] : [`TLS is read on port ${tls.interceptedPorts.join(", ")}`]),
    ...(tls?.bypass.map((pattern) => `TLS of ${pattern} is not read`) ?? []),
    ...(tls?.verifyUpstream === false ? ["servers need not prove who they are"] : []),
    ...(tls?.scopedVerifyUpstream.map(
      ({ pattern, verify }) => `${pattern} ${verify ? "has to" : "need not"} prove who it is`,
    ) ?? []),
    ...(tls?.blockQuic === false ? ["QUIC is let through"] : []),
    ...(tls === null || tls.interceptCaCertPath === null
      ? []
      : [`the guest's authority is ${tls.interceptCaCertPath}`]),
    ...secrets.map(describeSecret),
    ...(secrets.length === 0 || secretViolation === null
      ? []
      : [`placeholders that go elsewhere: ${describeViolation(secretViolation)}`]),
    ...(http?.rules.map((rule) => `request ${httpRuleText(rule)}`) ?? []),
    ...(http?.hooks.onRequest === true || http?.hooks.onResponse === true
      ? ["requests are shown to the program that the sandbox belongs to"]
      : []),
    ...(trustHostCAs ? ["the guest believes the authorities of this host"] : []),
    ...(strict ? ["strict: names have to be proved"] : []),
  ];
}

/** `secret API_KEY for api.example.com, *.example.org, from $API_KEY`. */
function describeSecret(secret: SecretEntry): string {
  const { envVar, source, allowedHosts, allowedHostPatterns, allowAnyHost, onViolation } = secret;
  const hosts = [...allowedHosts, ...allowedHostPatterns, ...(allowAnyHost ? ["everybody"] : [])].join(", ");
  const violation = onViolation === null ? "" : `; elsewhere ${describeViolation(onViolation)}`;
  return `secret ${envVar} for ${hosts}, ${describeSource(source)}${violation}`;
}

function describeSource(source: SecretEntry["source"]): string {
  switch (source.kind) {
    case "stored":
      return "stored";
    case "provider":
      return "from its program";
    case "env":
      return `from $${source.var}`;
    case "file":
      return `from ${source.path}`;
  }
}

function describeViolation(action: ViolationSetting): string {
  return typeof action === "string" ? action : `passthrough for ${action.passthrough.join(", ")}`;
}
