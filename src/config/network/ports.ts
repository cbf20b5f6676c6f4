import { InvalidConfigError } from "../../errors/index.ts";
import { IpAddress } from "../../host/ip/address.ts";
import { checkFlag, checkOneOf, checkWhole, shown } from "../checks.ts";
import { refuseUnknownKeys } from "../keys/unknown-keys.ts";
import type { SettingType } from "../settings/setting.ts";
import type { PublishedPort } from "./network-type.ts";

/** A port to publish; without a protocol TCP, without an address the host's loopback. */
export interface PortInput extends Partial<Omit<PublishedPort, "hostPort" | "guestPort">> {
  readonly hostPort: number;
  readonly guestPort: number;
}

/** Where a port is on the host. */
export type PortPlace = Pick<PublishedPort, "hostBind" | "hostPort" | "protocol">;

/** Ports of the host with the guest's: `{ "8080": 80 }`, or a list. */
export type PortsInput =
  Readonly<Record<string, number>> | Iterable<PortInput | readonly [host: number, guest: number]>;

export const loopback = "127.0.0.1";

/** @throws InvalidConfigError */
export function checkPort(path: string, input: PortInput): PublishedPort {
  refuseUnknownKeys(path, input, ["hostBind", "hostPort", "guestPort", "protocol", "proxyProtocol"]);
  const { hostPort, guestPort, protocol = "tcp", hostBind = loopback, proxyProtocol = false } = input;
  const address: unknown = hostBind;
  // A mapped address is one of IPv4, and two ports at it are at one place.
  const bind = typeof address === "string" ? (IpAddress.parse(address)?.unmapped() ?? null) : null;
  if (bind === null) {
    throw new InvalidConfigError(
      `${path}: the address to bind is ${shown(hostBind)}, which is no IP address`,
      {
        hint: "Use 127.0.0.1, 0.0.0.0 for all of IPv4, ::1, or an address of this computer.",
      },
    );
  }
  const port = {
    hostBind: bind.toString(),
    hostPort: checkWhole(`${path}: the host port`, hostPort, 0, 65_535),
    guestPort: checkWhole(`${path}: the guest port`, guestPort, 1, 65_535),
    protocol: checkOneOf(`${path}: the protocol`, protocol, ["tcp", "udp"] as const),
    proxyProtocol: checkFlag(`${path}: proxyProtocol`, proxyProtocol),
  };
  if (port.proxyProtocol && port.protocol === "udp") {
    throw new InvalidConfigError(`${path}: the PROXY protocol is for TCP ports`, {
      hint: "Leave proxyProtocol out.",
    });
  }
  return port;
}

/** @throws InvalidConfigError when two are at one address of the host */
export function checkDistinctPorts(ports: readonly PublishedPort[]): readonly PublishedPort[] {
  for (const [index, port] of ports.entries()) {
    const other = ports.slice(0, index).find((earlier) => isAtOnePlace(earlier, port));
    if (other === undefined) continue;
    const [one, two] = [placeOf(other), placeOf(port)];
    const what = one === two ? `${one} is published twice` : `${one} and ${two} are at one place of the host`;
    throw new InvalidConfigError(what, {
      hint: "Give one of them another host port; 0 takes one that is free.",
    });
  }
  return ports;
}

/** Whether only one of them can be listened on: `0.0.0.0` is at all addresses of IPv4, `::` at all of IPv6 and at none of IPv4. */
export function isAtOnePlace(one: PortPlace, other: PortPlace): boolean {
  const isAll = ({ hostBind }: PortPlace): boolean => hostBind === "0.0.0.0" || hostBind === "::";
  const isIpv6 = ({ hostBind }: PortPlace): boolean => hostBind.includes(":");
  return (
    one.hostPort !== 0 &&
    one.hostPort === other.hostPort &&
    one.protocol === other.protocol &&
    (one.hostBind === other.hostBind || (isIpv6(one) === isIpv6(other) && (isAll(one) || isAll(other))))
  );
}

/** `127.0.0.1:8080/tcp`. */
export function placeOf({ hostBind, hostPort, protocol }: PortPlace): string {
  return `${hostBind.includes(":") ? `[${hostBind}]` : hostBind}:${hostPort}/${protocol}`;
}

/**
 * Ports that are not among those that were said elsewhere: a configuration that is read back says its ports in several places. One of
 * those stands for one port.
 */
export function portsBesides(
  said: readonly PublishedPort[],
  ports: readonly PublishedPort[],
  isSame: (one: PublishedPort, other: PublishedPort) => boolean,
): readonly PublishedPort[] {
  const rest = [...said];
  return ports.filter((port) => {
    const at = rest.findIndex((other) => isSame(port, other));
    if (at !== -1) rest.splice(at, 1);
    return at === -1;
  });
}

/** Whether they are the same in all that there is of them. */
export function isSamePort(one: PublishedPort, other: PublishedPort): boolean {
  return (
    isSamePair(one, other) && one.hostBind === other.hostBind && one.proxyProtocol === other.proxyProtocol
  );
}

/** Whether they are the same for those who name a port by its numbers alone. */
export function isSamePair(one: PublishedPort, other: PublishedPort): boolean {
  return (
    one.hostPort === other.hostPort && one.guestPort === other.guestPort && one.protocol === other.protocol
  );
}

/** @throws InvalidConfigError */
export function checkPorts(name: string, input: PortsInput): readonly PublishedPort[] {
  const given: unknown = input;
  if (typeof given !== "object" || given === null) {
    throw new InvalidConfigError(`${name} is ${shown(given)}, which is no object of ports`, {
      hint: "Write {\"8080\": 80}: the host's port, then the guest's.",
    });
  }
  return Symbol.iterator in given
    ? [...(given as Iterable<unknown>)].map((port, index) => listed(`${name}[${index}]`, port))
    : Object.entries(given).map(([host, guest]) => keyedPort(name, host, guest));
}

function listed(path: string, port: unknown): PublishedPort {
  if (!Array.isArray(port)) return checkPort(path, port as PortInput);
  const [hostPort, guestPort, ...more] = port as number[];
  if (hostPort === undefined || guestPort === undefined || more.length > 0) {
    throw new InvalidConfigError(`${path} is no pair of ports`, { hint: "Write [8080, 80]." });
  }
  return checkPort(path, { hostPort, guestPort });
}

function keyedPort(name: string, host: string, guest: unknown): PublishedPort {
  if (!/^(?:0|[1-9]\d{0,4})$/.test(host)) {
    throw new InvalidConfigError(`${name}: ${JSON.stringify(host)} is no port of the host`, {
      hint: 'Write {"8080": 80}; for UDP or another address [{hostBind, hostPort, guestPort, protocol}].',
    });
  }
  return checkPort(`${name}[${JSON.stringify(host)}]`, {
    hostPort: Number(host),
    guestPort: guest as number,
  });
}

export const portsType: SettingType<readonly PublishedPort[], PortsInput> = {
  form: { kind: "structure" },
  values: "ports of the host with the guest's, see [network](network.md#ports)",
  check: checkPorts,
  join: (earlier, later) => checkDistinctPorts([...earlier, ...later]),
};

/** As tuples of the host's and the guest's port. */
export function portPairs(
  ports: readonly PublishedPort[],
  protocol: PublishedPort["protocol"],
): readonly (readonly [host: number, guest: number])[] {
  return ports
    .filter((port) => port.protocol === protocol)
    .map(({ hostPort, guestPort }) => [hostPort, guestPort] as const);
}
