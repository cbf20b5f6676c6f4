/**
 * The gateway without a machine, which reads TLS: `node gateway.ts CABLE MTU FILES`. `FILES` is JSON of {@link GatewayFiles}.
 * What the guest believes is written before anything is printed.
 */
import { writeFile } from "node:fs/promises";
import { HostTrust } from "../../src/certificates/upstream-trust.ts";
import { anyHost } from "../../src/config/network/interception/host-pattern.ts";
import { guestAuthority, interceptionOf } from "../../test/support/tls/intercepted-network.ts";
import { serveCable } from "../network/cable-gateway.ts";
import { secretName, secretValue, placeholder } from "./names.ts";

export interface GatewayFiles {
  /** PEM of whom the server's certificate is by. */
  readonly root: string;
  /** Where the authority for the guest goes. */
  readonly authority: string;
  readonly port: number;
  readonly hasSecret: boolean;
}

const [cable = "", mtu = "", files = ""] = process.argv.slice(2);
const { root, authority: path, port, hasSecret } = JSON.parse(files) as GatewayFiles;
const authority = guestAuthority();
await writeFile(path, authority.pem);
const tls = { interceptedPorts: [port], upstreamCaCertPaths: [root] };
const warn = (message: string): void => console.error(message);
const trust = new HostTrust({
  config: { ...tls, verifyUpstream: true, scopedVerifyUpstream: [], scopedUpstreamCaCerts: [] },
  warn,
});
await serveCable(
  cable,
  Number(mtu),
  interceptionOf({
    authority,
    hostRoot: "",
    tls,
    over: {
      trust,
      secrets: hasSecret
        ? [
            {
              envVar: secretName,
              placeholder,
              // The client is told addresses, so DNS knows none of the server's names.
              hosts: [anyHost],
              source: { kind: "stored" },
              injection: { headers: true, basicAuth: true, queryParams: false, body: false },
              requireTlsIdentity: true,
              onViolation: null,
              scrubResponses: false,
            },
          ]
        : [],
      values: { value: () => secretValue, refused: () => undefined },
    },
  }),
);
