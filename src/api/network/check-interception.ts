import { readFile, stat } from "node:fs/promises";
import type { TlsConfig } from "../../config/network/interception/tls-type.ts";
import { valueProblem } from "../../config/network/interception/builders/secret-value.ts";
import type { SecretConfig } from "../../config/network/interception/secret-type.ts";
import { InvalidConfigError } from "../../errors/index.ts";
import { errorCode } from "../../host/system-error.ts";

interface Parts {
  readonly tls: TlsConfig | null;
  readonly secrets: readonly SecretConfig[];
}

/**
 * Looks at the files and variables of this host that interception and secrets need, before anything is made.
 *
 * @param env of whoever starts the sandbox
 * @throws InvalidConfigError that names the file or the variable
 */
export async function checkInterception(
  { tls, secrets }: Parts,
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  for (const secret of secrets) await checkSecret(secret, env);
  if (tls === null) return;
  const { interceptCa, upstreamCaCertPaths, scopedUpstreamCaCerts } = tls;
  if (interceptCa !== null) {
    const { ownAuthority } = await import("../../certificates/authority.ts");
    await ownAuthority(interceptCa.certPath, interceptCa.keyPath);
  }
  for (const path of new Set([...upstreamCaCertPaths, ...scopedUpstreamCaCerts.map((scoped) => scoped.path)]))
    await checkAuthorities(path);
}

async function checkSecret(
  { envVar, source, injection }: SecretConfig,
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  if (source.kind === "env") {
    const value = env[source.var];
    if (value === undefined) {
      throw new InvalidConfigError(
        `the secret ${envVar} is in the variable ${source.var}, which is not set here`,
        {
          hint: `Set it (export ${source.var}=…) for the program that starts the sandbox.`,
        },
      );
    }
    checkValue(`the secret ${envVar} in the variable ${source.var}`, value, injection);
  }
  if (source.kind !== "file") return;
  let text: string;
  try {
    // What is no file may have no end.
    if (!(await stat(source.path)).isFile()) throw new Error("it is no file");
    text = await readFile(source.path, "utf8");
  } catch (cause) {
    throw new InvalidConfigError(
      `the secret ${envVar} is in ${source.path}, which cannot be read: ${errorCode(cause) ?? "it is no file"}`,
      { cause, hint: "Give the path of a file of this host that has the value." },
    );
  }
  checkValue(`the secret ${envVar} in ${source.path}`, text.replace(/\r?\n$/, ""), injection);
}

function checkValue(what: string, value: string, injection: SecretConfig["injection"]): void {
  const found = valueProblem(value, injection);
  if (found !== null) throw new InvalidConfigError(`${what} ${found.problem}`, { hint: found.hint });
}

async function checkAuthorities(path: string): Promise<void> {
  const hint = "Give a PEM file of this host that has certificates.";
  try {
    const [{ certificatesIn }, { X509Certificate }, text] = await Promise.all([
      import("../../certificates/pem.ts"),
      import("node:crypto"),
      readFile(path, "utf8"),
    ]);
    const found = certificatesIn(text);
    for (const pem of found) new X509Certificate(pem);
    if (found.length > 0) return;
  } catch (cause) {
    const reason = errorCode(cause) ?? "it has what is no certificate";
    throw new InvalidConfigError(`the authorities in ${path} cannot be used: ${reason}`, { cause, hint });
  }
  throw new InvalidConfigError(`the authorities in ${path} cannot be used: it has no certificate in PEM`, {
    hint,
  });
}
