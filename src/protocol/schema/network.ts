import { requests, silent, toClient, toSupervisor, type Area } from "./types.ts";

/** A sandbox's network, as its supervisor tells of it and changes it. The guest has no part in this. */
export const network = {
  enums: {
    PortProtocol: ["tcp", "udp"],
    FlowProtocol: ["tcp", "udp", "icmpv4", "icmpv6"],
    FlowDirection: ["egress", "ingress"],
  },
  structs: {
    /** hostPort: the one that was chosen where any would do. */
    BoundPort: {
      hostBind: "str",
      hostPort: "u16",
      guestPort: "u16",
      protocol: { enum: "PortProtocol" },
      proxyProtocol: "bool",
    },
    /** Totals since the start, but activeFlows. rx is what the guest was given, tx what it sent; bytes of frames. */
    NetworkCounters: {
      rxBytes: "u53",
      txBytes: "u53",
      rxFrames: "u53",
      txFrames: "u53",
      flowsOpened: "u53",
      flowsDenied: "u53",
      dnsQueries: "u53",
      dnsDenied: "u53",
      activeFlows: "u53",
    },
    /** openedMs: since 1970. rule: index of the one that let it through; without it, the default did. */
    ActiveFlow: {
      flow: "u53",
      openedMs: "u53",
      direction: { enum: "FlowDirection" },
      protocol: { enum: "FlowProtocol" },
      address: "str",
      port: { optional: "u16" },
      name: { optional: "str" },
      rule: { optional: "u32" },
    },
  },
  messages: {
    NetworkRequest: {
      tag: 150,
      routes: toSupervisor,
      doc: "Answered by NetworkStatus, with the flows that are open if they are asked for.",
      fields: { flows: "bool" },
    },
    NetworkStatus: {
      tag: 151,
      routes: toClient,
      doc: "`policy` is JSON, a policy in its stored form. Of the open flows the newest 1,000 are here; the counters say how many there are.",
      fields: {
        ports: { list: { struct: "BoundPort" } },
        counters: { struct: "NetworkCounters" },
        policy: "str",
        observe: "bool",
        maxConnections: "u32",
        flows: { list: { struct: "ActiveFlow" } },
      },
    },
    UpdateNetwork: {
      tag: 152,
      routes: toSupervisor,
      doc: "Changes the network: all of it, or nothing. `change` is JSON: what is left out stays as it is. Answered by NetworkStatus once no flow is left that is not allowed any more. With `persist` the sandbox's later runs begin with it.",
      fields: { change: "str", persist: "bool" },
    },
    ConnectGuest: {
      tag: 153,
      routes: toSupervisor,
      doc: "Opens a TCP connection to a port of the guest.",
      fields: { port: "u16" },
    },
    GuestConnected: {
      tag: 154,
      routes: toClient,
      doc: "The guest has accepted the connection: data may be sent.",
      fields: {},
    },
    GuestDisconnected: {
      tag: 155,
      routes: toClient,
      doc: "Both directions of the connection have ended in order, and all data was delivered.",
      fields: {},
    },
    WatchNetwork: {
      tag: 156,
      routes: toSupervisor,
      doc: "Asks for what comes to pass on the network from now on.",
      fields: {},
    },
    NetworkEvents: {
      tag: 157,
      routes: toClient,
      doc: "Lines of network.log, in order. All that came before `from` when this was asked for first is in the files. `lost` lines before these were dropped, because the subscriber did not ask for so long.",
      fields: { from: "u53", lost: "u53", lines: { list: "str" } },
    },
    ModifySecrets: {
      tag: 158,
      routes: toSupervisor,
      doc: "Changes the sandbox's secrets: all of it, or nothing. `change` is JSON, with values. `live`: for connections that are made from now on, too, and not only for later runs. Answered by Done.",
      fields: { change: "str", live: "bool" },
    },
  },
  services: {
    networkStatus: requests(
      "What a sandbox's network is and has done.",
      toSupervisor,
      ["NetworkRequest"],
      ["NetworkStatus"],
    ),
    networkUpdate: requests(
      "A change of a running sandbox's network.",
      toSupervisor,
      ["UpdateNetwork"],
      ["NetworkStatus"],
    ),
    secretsModification: requests(
      "A change of a running sandbox's secrets.",
      toSupervisor,
      ["ModifySecrets"],
      ["Done"],
    ),
    guestConnection: {
      doc: "A TCP connection to a port of the guest. No data before GuestConnected. End is a FIN; Failure is a reset, or that there was no connection.",
      opens: ["ConnectGuest"],
      routes: toSupervisor,
      opener: { messages: [], data: ["data"] },
      acceptor: { messages: ["GuestConnected"], data: ["data"], ends: ["GuestDisconnected"] },
    },
    networkEvents: {
      doc: "A subscription to what comes to pass on the network, in which every event counts, until the sandbox's end. The first answer comes at once, and those after it when there is something to tell.",
      opens: ["WatchNetwork"],
      routes: toSupervisor,
      opener: { messages: ["Next"], data: [] },
      acceptor: { ...silent, messages: ["NetworkEvents"], ends: ["Ended"] },
    },
  },
} as const satisfies Area;
