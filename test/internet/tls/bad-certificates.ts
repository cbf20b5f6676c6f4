import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Certificates } from "../../registry/certificates.ts";

const run = promisify(execFile);

export interface Identity {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** How a server's certificate can be one that nobody should believe. */
export const badKinds = ["expired", "wrong-name", "self-signed", "unknown-ca"] as const;
export type BadKind = (typeof badKinds)[number];

export async function goodIdentity({ certFile, keyFile }: Certificates): Promise<Identity> {
  return { cert: await readFile(certFile), key: await readFile(keyFile) };
}

/** Makes one of each by openssl, for `*.example.com` but where the name is what is wrong. @param directory the CA's, where it can be written */
export async function badIdentities(
  directory: string,
  { caFile }: Certificates,
): Promise<ReadonlyMap<BadKind, Identity>> {
  const openssl = (...args: readonly string[]): Promise<unknown> => run("openssl", args, { cwd: directory });
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const caKey = caFile.replace(/\.pem$/, ".key");
  const made = new Map<BadKind, Identity>();
  await openssl(
    "req",
    "-x509",
    ...newKey,
    "-keyout",
    "other-ca.key",
    "-out",
    "other-ca.pem",
    "-subj",
    "/CN=other CA",
  );
  for (const kind of badKinds) {
    const name = kind === "wrong-name" ? "wrong.test" : "*.example.com";
    const extension = join(directory, `${kind}.ext`);
    await writeFile(extension, `subjectAltName=DNS:${name}\n`);
    const files = ["-keyout", `${kind}.key`, "-subj", `/CN=${kind}`];
    if (kind === "self-signed") {
      await openssl(
        "req",
        "-x509",
        ...newKey,
        ...files,
        "-out",
        `${kind}.pem`,
        "-addext",
        `subjectAltName=DNS:${name}`,
      );
    } else {
      await openssl("req", ...newKey, ...files, "-out", `${kind}.csr`);
      const [ca, key] = kind === "unknown-ca" ? ["other-ca.pem", "other-ca.key"] : [caFile, caKey];
      const sign = ["x509", "-req", "-in", `${kind}.csr`, "-CA", ca, "-CAkey", key, "-CAcreateserial"];
      // Over since yesterday: with a negative number of days, which openssl x509 takes.
      const days = kind === "expired" ? "-1" : "2";
      await openssl(...sign, "-out", `${kind}.pem`, "-days", days, "-extfile", extension);
    }
    const read = (end: string): Promise<Buffer> => readFile(join(directory, `${kind}.${end}`));
    made.set(kind, { cert: await read("pem"), key: await read("key") });
  }
  return made;
}
