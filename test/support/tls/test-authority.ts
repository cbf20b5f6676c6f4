import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface TestCertificate {
  /** PEM: the leaf, and what leads to the root when there is something between. */
  readonly cert: string;
  readonly key: string;
}

export interface CertificateOptions {
  /** Days from now on that it lasts; negative: it is over. */
  readonly days?: number;
  readonly digest?: "sha256" | "sha1";
  readonly key?: "ec" | "rsa";
  /** Names that it is for besides. */
  readonly others?: readonly string[];
}

/** An authority of OpenSSL's own tool, and servers' certificates of it: good ones and bad ones. */
export class TestAuthority implements AsyncDisposable {
  readonly directory: string;
  #count = 0;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async make(): Promise<TestAuthority> {
    const authority = new TestAuthority(await mkdtemp(join(tmpdir(), "msb-authority-")));
    await authority.#openssl(
      "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 30 -subj /CN=test-root",
    );
    return authority;
  }

  /** PEM of the root. */
  get pem(): Promise<string> {
    return readFile(join(this.directory, "ca.pem"), "utf8");
  }

  get path(): string {
    return join(this.directory, "ca.pem");
  }

  /** @param by the files of another issuer */
  async certificate(name: string, options: CertificateOptions = {}, by = "ca"): Promise<TestCertificate> {
    const names = [name, ...(options.others ?? [])].map((dns) => `DNS:${dns}`);
    const file = await this.#issue(name, options, by, `subjectAltName=${names.join(",")}\n`);
    return { cert: await this.#read(`${file}.pem`), key: await this.#read(`${file}.key`) };
  }

  /** One that an authority between has signed, which the certificate does not bring along unless `isComplete`. */
  async indirect(name: string, isComplete: boolean): Promise<TestCertificate> {
    const between = await this.#issue(
      "between",
      {},
      "ca",
      "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n",
    );
    const { cert, key } = await this.certificate(name, {}, between);
    return { cert: isComplete ? cert + (await this.#read(`${between}.pem`)) : cert, key };
  }

  /** One that has signed itself. */
  async selfSigned(name: string): Promise<TestCertificate> {
    const file = `self-${this.#count++}`;
    await this.#openssl(
      `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ${file}.key -out ${file}.pem -days 30 -subj /CN=${name} -addext subjectAltName=DNS:${name}`,
    );
    return { cert: await this.#read(`${file}.pem`), key: await this.#read(`${file}.key`) };
  }

  /** What its responder says of a certificate by OCSP, as DER. */
  async status({ cert }: TestCertificate, status: "good" | "revoked"): Promise<Buffer> {
    const { serialNumber, subject } = new X509Certificate(cert);
    const [letter, when] = status === "good" ? ["V", ""] : ["R", "260101000000Z"];
    const line = [letter, "490101000000Z", when, serialNumber, "unknown", `/${subject}`].join("\t");
    await writeFile(join(this.directory, "index.txt"), `${line}\n`);
    await this.#openssl(
      `ocsp -index index.txt -CA ca.pem -rsigner ca.pem -rkey ca.key -issuer ca.pem -serial 0x${serialNumber} -respout status.der -noverify -ndays 1`,
    );
    return await readFile(join(this.directory, "status.der"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }

  async #issue(
    name: string,
    { days = 10, digest = "sha256", key = "ec" }: CertificateOptions,
    by: string,
    extensions: string,
  ): Promise<string> {
    const file = `leaf-${this.#count++}`;
    const kind = key === "ec" ? "ec -pkeyopt ec_paramgen_curve:P-256" : "rsa:2048";
    await writeFile(join(this.directory, `${file}.ext`), extensions);
    await this.#openssl(`req -newkey ${kind} -nodes -keyout ${file}.key -out ${file}.csr -subj /CN=${name}`);
    await this.#openssl(
      `x509 -req -in ${file}.csr -CA ${by}.pem -CAkey ${by}.key -set_serial ${1000 + this.#count} -days ${days} -${digest} -extfile ${file}.ext -out ${file}.pem`,
    );
    return file;
  }

  #read(file: string): Promise<string> {
    return readFile(join(this.directory, file), "utf8");
  }

  async #openssl(line: string): Promise<void> {
    await run("openssl", line.split(" "), { cwd: this.directory });
  }
}
