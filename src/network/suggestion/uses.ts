import type { PortRange, Rule, RuleProtocol } from "../../config/network/policy-type.ts";

const protocols: readonly RuleProtocol[] = ["tcp", "udp", "icmpv4", "icmpv6"];

/** By which protocols and at which ports something was used. */
export class Uses {
  /** Ports of each protocol; ICMP has none. */
  readonly #ports = new Map<RuleProtocol, Set<number>>();

  get isEmpty(): boolean {
    return this.#ports.size === 0;
  }

  add(protocol: RuleProtocol, port: number | null): void {
    let ports = this.#ports.get(protocol);
    if (ports === undefined) this.#ports.set(protocol, (ports = new Set()));
    if (port !== null) ports.add(port);
  }

  addAll(other: Uses): void {
    for (const [protocol, ports] of other.#ports) {
      if (ports.size === 0) this.add(protocol, null);
      for (const port of ports) this.add(protocol, port);
    }
  }

  /** As few pairs of protocols and ports as there can be; the same for the same uses, in whichever order they came. */
  filters(): readonly Pick<Rule, "protocols" | "ports">[] {
    const byPorts = Map.groupBy(
      protocols.filter((protocol) => this.#ports.has(protocol)),
      (protocol) => JSON.stringify(rangesOf(this.#ports.get(protocol) ?? new Set())),
    );
    return [...byPorts].map(([ports, sharing]) => ({
      protocols: sharing,
      ports: JSON.parse(ports) as PortRange[],
    }));
  }
}

/** Ports that follow each other are one range. */
function rangesOf(ports: ReadonlySet<number>): readonly PortRange[] {
  const ranges: { start: number; end: number }[] = [];
  for (const port of [...ports].sort((one, other) => one - other)) {
    const last = ranges.at(-1);
    if (last?.end === port - 1) last.end = port;
    else ranges.push({ start: port, end: port });
  }
  return ranges;
}
