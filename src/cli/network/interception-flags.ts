import type { NetworkBuilder } from "../../config/network/builders/network-builder.ts";
import { checkNameOrSuffix } from "../../config/network/interception/builders/check-host.ts";
import type { TlsBuilder } from "../../config/network/interception/builders/tls-builder.ts";
import { ViolationActions } from "../../config/enums.ts";
import { flag, repeated, value, type Invocation } from "../grammar/command.ts";
import { UsageError } from "../output/usage-error.ts";
import { filled, oneOf, text, wholeNumber } from "../values/simple.ts";
import { parseHttpRule } from "./http-rule-flag.ts";
import { usable } from "./port.ts";
import { parseSecret, saySecret, untold } from "./secret-flag.ts";

const group = "Interception and secrets:";
const file = filled("a file");

function pattern(name: string): string {
  return usable(() => checkNameOrSuffix("the host", name));
}

/** `PATTERN=FILE`. @throws UsageError */
function patternWithFile(words: string): readonly [pattern: string, file: string] {
  const equals = words.indexOf("=");
  if (equals === -1)
    throw new UsageError(`"${words}" names no file.`, "Write HOST=FILE, or *.example.com=FILE");
  return [pattern(words.slice(0, equals)), file(words.slice(equals + 1))];
}

/** Options about reading what the guest sends. */
export const interceptionFlags = {
  tlsIntercept: flag({
    group,
    description: "Read the guest's TLS on port 443; the other options of interception turn it on too",
  }),
  tlsInterceptPort: repeated({
    group,
    placeholder: "PORT",
    description: "Read it on this port instead. Repeatable",
    parse: wholeNumber(1, 65_535),
  }),
  tlsBypass: repeated({
    group,
    placeholder: "HOST",
    description: "Pass connections to this host (or *.example.com) on as they are. Repeatable",
    parse: pattern,
  }),
  blockQuic: flag({
    group,
    description: "Refuse UDP to these ports, so that clients fall back to TCP (the default)",
    negation: "Let QUIC through, which is not read",
  }),
  tlsInterceptCaCert: value({
    group,
    placeholder: "FILE",
    description: "An authority of your own for the guest, as PEM (the one of the home directory)",
    parse: file,
  }),
  tlsInterceptCaKey: value({ group, placeholder: "FILE", description: "Its key, as PEM", parse: file }),
  tlsUpstreamCaCert: repeated({
    group,
    placeholder: "FILE",
    description:
      "Authorities, as PEM, that servers may have certificates from, beside this host's. Repeatable",
    parse: file,
  }),
  tlsUpstreamCaCertFor: repeated({
    group,
    placeholder: "HOST=FILE",
    description: "The same for one host, or for *.example.com. Repeatable",
    parse: patternWithFile,
  }),
  tlsNoVerifyUpstreamFor: repeated({
    group,
    placeholder: "HOST",
    description: "This server (or *.example.com) need not prove who it is. Repeatable",
    parse: pattern,
  }),
  trustHostCas: flag({ group, description: "The guest believes the authorities that this host believes" }),
  netStrict: flag({
    group,
    description: "A name that a rule allows has to be proved by what is read of the connection",
  }),
  secret: repeated({
    group,
    placeholder: "ENV@HOST[,HOST]",
    description:
      "The guest has a placeholder in ENV, and HOST gets the value that ENV has here; *.example.com, or * for everybody. Repeatable",
    parse: untold(parseSecret),
  }),
  onSecretViolation: value({
    group,
    placeholder: "ACTION",
    description: `When a placeholder goes elsewhere: ${ViolationActions.join(", ")} (block-and-log)`,
    choices: ViolationActions,
    parse: oneOf(ViolationActions),
  }),
  httpRule: repeated({
    group,
    placeholder: "RULE",
    description:
      "About requests, the first that matches decides: ACTION[:METHODS]@HOST[/PATH], such as allow:GET@api.github.com/repos/**. Repeatable",
    parse: parseHttpRule,
  }),
  httpDenyMessage: value({
    group,
    placeholder: "TEXT",
    description: "What a denied request is answered with; {host}, {method} and {path} are filled in",
    parse: text,
  }),
  httpDenyResponse: flag({
    group,
    description: "Answer denied requests with 403 and the reason (the default)",
    negation: "Break their connections off",
  }),
} as const;

type InterceptionValues = Invocation<typeof interceptionFlags>["options"];

/** Says to a builder what the options say. @throws UsageError for options that contradict each other */
export function sayInterception(builder: NetworkBuilder, flags: InterceptionValues): void {
  const { trustHostCas, netStrict, onSecretViolation } = flags;
  if ((flags.tlsInterceptCaCert === undefined) !== (flags.tlsInterceptCaKey === undefined)) {
    throw new UsageError(
      "--tls-intercept-ca-cert and --tls-intercept-ca-key go together.",
      "Give both, or neither: then it is the authority of the home directory.",
    );
  }
  if (isTls(flags)) usable(() => builder.tls((tls) => sayTls(tls, flags)));
  else if (flags.tlsIntercept === true) builder.interceptTls();
  if (trustHostCas === true) builder.trustHostCAs(true);
  if (netStrict === true) builder.strict(true);
  for (const choice of flags.secret) usable(() => builder.secret((secret) => saySecret(secret, choice())));
  if (onSecretViolation !== undefined) builder.onSecretViolation(onSecretViolation);
  const { httpRule, httpDenyMessage, httpDenyResponse } = flags;
  if (httpRule.length === 0) {
    if (httpDenyMessage === undefined && httpDenyResponse === undefined) return;
    throw new UsageError("nothing is denied.", "Give a rule about requests too: --http-rule deny@HOST");
  }
  usable(() =>
    builder.http((http) => {
      for (const { action, methods, host, path } of httpRule) {
        const names = methods.length === 0 ? "*" : methods;
        if (action === "allow") http.allow(names, host, path ?? undefined);
        else http.deny(names, host, path ?? undefined);
      }
      if (httpDenyMessage !== undefined) http.denyMessage(httpDenyMessage);
      if (httpDenyResponse !== undefined) http.denyResponse(httpDenyResponse);
      return http;
    }),
  );
}

function isTls(flags: InterceptionValues): boolean {
  const { tlsInterceptPort, tlsBypass, tlsUpstreamCaCert, tlsUpstreamCaCertFor } = flags;
  const lists = [tlsInterceptPort, tlsBypass, tlsUpstreamCaCert, tlsUpstreamCaCertFor];
  const ones = [flags.blockQuic, flags.tlsInterceptCaCert, flags.tlsInterceptCaKey];
  return (
    lists.some(({ length }) => length > 0) ||
    flags.tlsNoVerifyUpstreamFor.length > 0 ||
    ones.some((one) => one !== undefined)
  );
}

function sayTls(tls: TlsBuilder, flags: InterceptionValues): TlsBuilder {
  if (flags.tlsInterceptPort.length > 0) tls.interceptedPorts(flags.tlsInterceptPort);
  for (const host of flags.tlsBypass) tls.bypass(host);
  if (flags.blockQuic !== undefined) tls.blockQuic(flags.blockQuic);
  if (flags.tlsInterceptCaCert !== undefined) tls.interceptCaCert(flags.tlsInterceptCaCert);
  if (flags.tlsInterceptCaKey !== undefined) tls.interceptCaKey(flags.tlsInterceptCaKey);
  for (const path of flags.tlsUpstreamCaCert) tls.upstreamCaCert(path);
  for (const [host, path] of flags.tlsUpstreamCaCertFor) tls.upstreamCaCertFor(host, path);
  for (const host of flags.tlsNoVerifyUpstreamFor) tls.verifyUpstreamFor(host, false);
  return tls;
}
