import { requests, silent, toClient, toSupervisor, type Area } from "./types.ts";

/** What the program that owns a sandbox serves: files, and values of secrets, which cross this hop and no other. */
export const providers = {
  enums: {
    /** `kept`: the message has the body that it came with. `made`: the one that follows. */
    HookedBody: ["kept", "made"],
  },
  structs: {
    /** Both with one character for each byte. */
    HookedField: { name: "str", value: "str" },
    HookedRequestHead: { method: "str", url: "str", fields: { list: { struct: "HookedField" } } },
    /** value: not there where the program has a function, which is asked when the value is needed. */
    GivenSecret: { envVar: "str", value: { optional: "str" } },
  },
  messages: {
    ProvideFiles: {
      tag: 140,
      routes: toClient,
      doc: "To the owner: what is mounted at this path of the guest is to be served, as long as the stream lasts.",
      fields: { path: "str" },
    },
    GiveSecrets: {
      tag: 160,
      routes: toClient,
      doc: "To the owner, as a sandbox starts: what it gives for the secrets in these variables of the guest. Answered by SecretsGiven.",
      fields: { envVars: { list: "str" } },
    },
    SecretsGiven: {
      tag: 161,
      routes: toSupervisor,
      doc: "The answer to GiveSecrets: those that the program has something for.",
      fields: { secrets: { list: { struct: "GivenSecret" } } },
    },
    FetchSecret: {
      tag: 162,
      routes: toClient,
      doc: "To the owner: the value of a secret that it has a function for, which is about to be sent to a host. Answered by SecretFetched.",
      fields: { envVar: "str", host: "str" },
    },
    SecretFetched: {
      tag: 163,
      routes: toSupervisor,
      doc: "The answer to FetchSecret. expiresMs: since 1970; not there: until a host refuses it.",
      fields: { value: "str", expiresMs: { optional: "u53" } },
    },
    LookAtRequest: {
      tag: 164,
      routes: toClient,
      doc: "To the owner: its function is to look at a request. The body follows as data once HookReads has asked for it.",
      fields: { request: { struct: "HookedRequestHead" }, hasBody: "bool" },
    },
    LookAtResponse: {
      tag: 165,
      routes: toClient,
      doc: "The same for the response to a request.",
      fields: {
        request: { struct: "HookedRequestHead" },
        status: "u16",
        fields: { list: { struct: "HookedField" } },
        hasBody: "bool",
      },
    },
    HookReads: {
      tag: 166,
      routes: toSupervisor,
      doc: "The function begins to read the body.",
      fields: {},
    },
    HookDecides: {
      tag: 167,
      routes: toSupervisor,
      doc: "What the function wants; what is not there stays. isAnswer: a request is not sent, and answered with this. length: of a body that is made, where it is known. The body follows as data, and HookDone ends it.",
      fields: {
        isAnswer: "bool",
        method: { optional: "str" },
        url: { optional: "str" },
        status: { optional: "u16" },
        fields: { optional: { list: { struct: "HookedField" } } },
        body: { enum: "HookedBody" },
        length: { optional: "u53" },
      },
    },
    HookDone: {
      tag: 168,
      routes: toSupervisor,
      doc: "The function and its body have ended.",
      fields: {},
    },
  },
  services: {
    providers: {
      doc: "The messages of one mount, each with four bytes before it that are of no meaning here: the kernel's requests one way, and the answers the other way (linux/fuse.h). There is a stream for each mount of each machine that is started.",
      opens: ["ProvideFiles"],
      routes: toClient,
      opener: { messages: [], data: ["data"] },
      acceptor: { ...silent, data: ["data"], ends: [] },
    },
    secretsGiven: requests(
      "What a program gives for the secrets of its sandbox, once for each run.",
      toClient,
      ["GiveSecrets"],
      ["SecretsGiven"],
    ),
    secretFetch: requests(
      "A value of a secret, when it is needed.",
      toClient,
      ["FetchSecret"],
      ["SecretFetched"],
    ),
    hooks: {
      doc: "One call of a function that looks at a request or a response. Data is the body that has come one way, and the one that the function makes the other way. A Failure before HookDecides is what the function has failed by, one after it breaks the message off.",
      opens: ["LookAtRequest", "LookAtResponse"],
      routes: toClient,
      opener: { messages: [], data: ["data"] },
      acceptor: { messages: ["HookReads", "HookDecides"], data: ["data"], ends: ["HookDone"] },
    },
  },
} as const satisfies Area;
