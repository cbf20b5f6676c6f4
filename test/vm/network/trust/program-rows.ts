/** A program that asks a server for something, and proves that it believes it. */
export interface ProgramRow {
  readonly name: string;
  /** `$URL` is a server's, without a path, `$HOST` its name and port. */
  readonly script: string;
  readonly prints: string | RegExp;
  /** What it cannot do without is in its environment: it brings roots of its own, or looks nowhere. */
  readonly byEnvironment?: true;
}

const brief = "2>&1 | tail -n 5";

export const programRows: readonly ProgramRow[] = [
  {
    name: "openssl",
    script: `openssl s_client -connect $HOST -verify_return_error -brief < /dev/null ${brief}`,
    prints: /^Verification: OK$/m,
  },
  {
    name: "gnutls",
    script: `gnutls-cli $HOST < /dev/null 2>&1 | grep Status`,
    prints: /The certificate is trusted/,
  },
  {
    name: "NSS",
    script: `tstclnt -h \${HOST%:*} -p \${HOST#*:} -d sql:/root/.pki/nssdb -Q > /tmp/nss 2>&1 && echo trusted || tail /tmp/nss`,
    prints: "trusted",
  },
  { name: "curl", script: `curl -sS $URL/ ${brief}`, prints: "trusted" },
  { name: "wget", script: `wget -qO- $URL/ ${brief}`, prints: "trusted" },
  { name: "git", script: `git ls-remote $URL/git ${brief}`, prints: `${"1".repeat(40)}\trefs/heads/main` },
  {
    name: "urllib",
    script: `python3 -c "import urllib.request as u; print(u.urlopen('$URL/').read().decode())" ${brief}`,
    prints: "trusted",
  },
  {
    name: "requests, with roots of its own as certifi brings them",
    script: `python3 -c "
import requests.adapters as a
a.DEFAULT_CA_BUNDLE_PATH = '/usr/share/ca-certificates/mozilla/ISRG_Root_X1.crt'
import requests as r; print(r.get('$URL/').text)" ${brief}`,
    prints: "trusted",
    byEnvironment: true,
  },
  {
    name: "pip",
    script: `pip download --no-cache-dir --retries 0 --index-url $URL/simple thing ${brief}`,
    prints: /No matching distribution found for thing/,
  },
  {
    name: "grpc",
    script: `python3 -c "
import grpc
channel = grpc.secure_channel('$HOST', grpc.ssl_channel_credentials())
grpc.channel_ready_future(channel).result(timeout=20); print('trusted')" ${brief}`,
    prints: "trusted",
    byEnvironment: true,
  },
  { name: "Go", script: `go-get $URL/ ${brief}`, prints: "trusted" },
  {
    name: "Node",
    script: `/node/node -e "fetch('$URL/').then((r) => r.text()).then(console.log)" ${brief}`,
    prints: "trusted",
    byEnvironment: true,
  },
];
