import { InvalidConfigError } from "../../../errors/index.ts";
import { shown } from "../../checks.ts";
import { parseNameserver } from "../nameserver.ts";

/** Where a password comes from: a variable of the host's environment. */
export interface PasswordSource {
  readonly kind: "env";
  readonly var: string;
}

/** @returns `HOST:PORT` @throws InvalidConfigError */
export function checkProxyAddress(address: string): string {
  const given: unknown = address;
  if (typeof given === "string" && /^(?:\[[^\]]*\]|[^:[\]]+):\d{1,5}$/.test(given)) {
    try {
      // The same forms, and with a port that is always said.
      const { host, port } = parseNameserver(given);
      return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
    } catch {
      // Told below, as what it was meant to be.
    }
  }
  throw new InvalidConfigError(`the proxy's address is ${shown(given)}, which is not HOST:PORT`, {
    hint: "Such as 127.0.0.1:1080 or [::1]:1080.",
  });
}

/** RFC 1929, 2: 1 to 255 bytes. A colon would end it in HTTP (RFC 7617, 2). @throws InvalidConfigError */
export function checkUserName(name: string): string {
  const given: unknown = name;
  if (
    typeof given === "string" &&
    given !== "" &&
    Buffer.byteLength(given) <= 255 &&
    !/[:\p{Cc}]/u.test(given)
  )
    return given;
  throw new InvalidConfigError(
    "the proxy's user name must have 1 to 255 bytes, without a colon or control character",
    {
      hint: "The password is said apart.",
    },
  );
}

/** @returns the variable's name @throws InvalidConfigError, which tells nothing of what may be a password */
export function checkPasswordSource(source: PasswordSource): string {
  const { kind, var: name } = Object(source) as Readonly<Record<string, unknown>>;
  if (kind === "env") return checkPasswordEnv(name);
  throw new InvalidConfigError("the proxy's password is not given as a variable of the environment", {
    hint: 'Write {kind: "env", var: "PROXY_PASSWORD"}: the password itself is never stored.',
  });
}

/** @throws InvalidConfigError, which tells nothing of what may be a password */
export function checkPasswordEnv(name: unknown): string {
  if (typeof name === "string" && /^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return name;
  throw new InvalidConfigError("the proxy's password variable has no name of an environment variable", {
    hint: "Name the variable that has the password, such as PROXY_PASSWORD.",
  });
}
