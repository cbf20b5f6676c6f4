import { InvalidConfigError } from "../../../errors/index.ts";
import { checkOneOf } from "../../checks.ts";
import { checkText } from "../../guest-text.ts";
import { refuseUnknownKeys } from "../../keys/unknown-keys.ts";
import type { SettingType } from "../../settings/setting.ts";
import { chooseProxy, type AnyProxyBuilder, type OutboundProxyBuilder } from "./proxy-builder.ts";
import { checkPasswordEnv, checkProxyAddress, checkUserName } from "./proxy-values.ts";
import type { OutboundProxy } from "../network-type.ts";

/** A proxy as fields. */
export interface OutboundProxyInput {
  readonly kind: OutboundProxy["kind"];
  /** `HOST:PORT`. */
  readonly address: string;
  /** Of SOCKS4. */
  readonly userId?: string | null;
  /** Of SOCKS5 and HTTP: both or neither. */
  readonly username?: string | null;
  readonly passwordEnv?: string | null;
}

/** A proxy: `socks5://HOST:PORT`, fields, or what a function makes. */
export type ProxyInput = string | OutboundProxyInput | ((proxy: OutboundProxyBuilder) => AnyProxyBuilder);

const kinds = ["socks4", "socks5", "http"] as const satisfies readonly OutboundProxy["kind"][];

/** @throws InvalidConfigError */
export function checkProxy(name: string, input: ProxyInput): OutboundProxy {
  if (typeof input === "function") return chooseProxy(input);
  if (typeof input === "string") return proxyOfUrl(input);
  refuseUnknownKeys(name, input, ["kind", "address", "userId", "username", "passwordEnv"]);
  const kind = checkOneOf(`${name}.kind`, input.kind, kinds);
  const address = checkProxyAddress(input.address);
  const { userId = null, username = null, passwordEnv = null } = input;
  if (kind === "socks4") {
    if (username !== null || passwordEnv !== null) throw misplaced(name, "username", kind, "userId");
    return { kind, address, userId: userId === null ? null : checkText(`${name}.userId`, userId) };
  }
  if (userId !== null) throw misplaced(name, "userId", kind, "username and passwordEnv");
  if (username === null && passwordEnv === null) return { kind, address, username, passwordEnv };
  return {
    kind,
    address,
    username: checkUserName(username ?? ""),
    passwordEnv: checkPasswordEnv(passwordEnv),
  };
}

function misplaced(name: string, key: string, kind: string, instead: string): InvalidConfigError {
  return new InvalidConfigError(`${name}.${key} has no meaning for a proxy of the kind ${kind}`, {
    hint: `Say ${instead}.`,
  });
}

/**
 * `KIND://HOST:PORT`, `socks4://ID@HOST:PORT` or `KIND://USER:$VARIABLE@HOST:PORT`: the variable of the host's environment that has the
 * password. What is wrong is told without what was given: there may be a password in it.
 */
function proxyOfUrl(url: string): OutboundProxy {
  const match = /^([a-z0-9]+):\/\/(?:(.*)@)?([^@/]+)\/?$/.exec(url);
  const [, scheme, login, address = ""] = match ?? [];
  const kind = kinds.find((known) => known === scheme);
  if (kind === undefined) {
    throw new InvalidConfigError("the proxy is no URL of a kind that is known", {
      hint: "Write socks5://HOST:PORT, socks4://HOST:PORT or http://HOST:PORT.",
    });
  }
  if (login === undefined) return checkProxy("proxy", { kind, address });
  if (kind === "socks4") return checkProxy("proxy", { kind, address, userId: login });
  const [username = "", password = "", ...more] = login.split(":");
  if (!password.startsWith("$") || more.length > 0) {
    throw new InvalidConfigError("the proxy's password stands in its URL", {
      hint: `Name the environment variable that has it: ${kind}://USER:$VARIABLE@HOST:PORT. The password itself is never stored.`,
    });
  }
  return checkProxy("proxy", { kind, address, username, passwordEnv: password.slice(1) });
}

export const proxyType: SettingType<OutboundProxy, ProxyInput> = {
  form: { kind: "structure" },
  values: "`socks5://HOST:PORT`, `socks4://HOST:PORT`, `http://HOST:PORT`",
  check: checkProxy,
};
