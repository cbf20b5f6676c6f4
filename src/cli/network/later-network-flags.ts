import { flag, repeated, value } from "../grammar/command.ts";
import { text } from "../values/simple.ts";

const hidden = { hidden: true, description: "Not in this version" } as const;
const one = { ...hidden, placeholder: "TEXT", parse: text } as const;

/** Options of other versions. They are known, so that they can be refused by name. */
export const laterNetworkFlags = {
  secret: repeated(one),
  onSecretViolation: value(one),
  tlsIntercept: flag(hidden),
  tlsInterceptPort: repeated(one),
  tlsBypass: repeated(one),
  blockQuic: flag({ ...hidden, negation: "Not in this version" }),
  tlsInterceptCaCert: value(one),
  tlsInterceptCaKey: value(one),
  tlsUpstreamCaCert: repeated(one),
  tlsUpstreamCaCertFor: repeated(one),
  tlsNoVerifyUpstreamFor: repeated(one),
  trustHostCas: flag(hidden),
  vsock: repeated(one),
} as const;
