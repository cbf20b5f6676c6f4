import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface Certificates {
  readonly caFile: string;
  readonly caPem: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** A CA of one test, and a certificate of it for 127.0.0.1, localhost and other names. */
export async function makeCertificates(
  directory: string,
  names: readonly string[] = ["registry.test"],
): Promise<Certificates> {
  const path = (name: string): string => join(directory, name);
  const openssl = (...args: readonly string[]): Promise<unknown> => run("openssl", args, { cwd: directory });
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  await openssl(
    "req",
    "-x509",
    ...newKey,
    "-keyout",
    "ca.key",
    "-out",
    "ca.pem",
    "-subj",
    "/CN=test CA",
    "-days",
    "2",
  );
  await openssl("req", ...newKey, "-keyout", "host.key", "-out", "host.csr", "-subj", "/CN=127.0.0.1");
  const extensions = `subjectAltName=${["IP:127.0.0.1", ...["localhost", ...names].map((name) => `DNS:${name}`)].join(",")}`;
  await run("sh", ["-c", `echo '${extensions}' > ext`], { cwd: directory });
  const sign =
    "x509 -req -in host.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out host.pem -days 2 -extfile ext";
  await openssl(...sign.split(" "));
  return {
    caFile: path("ca.pem"),
    caPem: await readFile(path("ca.pem"), "utf8"),
    certFile: path("host.pem"),
    keyFile: path("host.key"),
  };
}
