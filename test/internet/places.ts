/** Who lives where in the internet that tests make. All of it is one machine: every server is at every address. */
export const places = {
  /** example.com */
  host4: "93.184.216.34",
  host6: "2606:2800:220:1::34",
  /** Another one of the public internet, whom tests forbid. */
  other4: "151.101.1.6",
  other6: "2a04:4e42::6",
  /** Two that one name stands for, in turn. */
  first4: "104.16.1.1",
  second4: "104.16.1.2",
  /** The resolver that the host asks. */
  resolver4: "8.8.8.8",
  resolver6: "2001:4860:4860::8888",
  /** Another one, which a guest may ask by itself. */
  otherResolver4: "1.1.1.1",
  otherResolver6: "2606:4700:4700::1111",
  private4: "10.20.30.40",
  secondPrivate4: "192.168.1.10",
  shared4: "100.64.0.9",
  private6: "fd00:1::10",
  /** Where clouds tell a machine its keys. */
  metadata4: "169.254.169.254",
  linkLocal4: "169.254.7.7",
} as const;

export const allAddresses: readonly string[] = Object.values(places);

/** The addresses that the host has itself. All others are elsewhere, as far as anybody can tell. */
export const own = { v4: "198.18.77.2", v6: "2a00:77::2" } as const;

/** To these there is no way, and the host says so at once. */
export const unreachable = { v4: "198.51.100.7", v6: "2001:db8:dead::7" } as const;

/** What is sent there gets lost. */
export const lost = { v4: "203.0.113.7", v6: "2001:db8:1057::7" } as const;

/** Ports of the servers. */
export const ports = {
  http: 80,
  https: 443,
  ssh: 22,
  redis: 6379,
  postgres: 5432,
  iperf: 5201,
  /** TCP and UDP: sends back what it gets. */
  echo: 7,
  /** TCP: says a line first, as mail servers do. */
  greeting: 25,
} as const;
