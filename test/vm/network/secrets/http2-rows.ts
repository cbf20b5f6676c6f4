import { placeholder } from "./attack-rows.ts";

/** What a hostile guest says by HTTP/2. */
export interface Http2Row {
  readonly name: string;
  /** `right`: one that may have the value. */
  readonly to: "right" | "wrong";
  readonly head: Readonly<Record<string, string>>;
  /** Each is a DATA frame. */
  readonly body?: readonly string[];
  /** What the server has heard in the end. */
  readonly hears: "value" | "placeholder" | "neither";
}

const key = { "x-key": `Bearer ${placeholder}` };
const basic = { authorization: `Basic ${Buffer.from(`user:${placeholder}`).toString("base64")}` };
const wrongHost = "go.attacker.test";
const post = { ":method": "POST" };

export const http2Rows: readonly Http2Row[] = [
  { name: "header", to: "right", head: key, hears: "value" },
  { name: "basic", to: "right", head: basic, hears: "value" },
  { name: "path", to: "right", head: { ":path": `/${placeholder}` }, hears: "placeholder" },
  { name: "query", to: "right", head: { ":path": `/?k=${placeholder}` }, hears: "placeholder" },
  { name: "body", to: "right", head: post, body: [placeholder], hears: "placeholder" },
  { name: "header", to: "wrong", head: key, hears: "neither" },
  { name: "basic", to: "wrong", head: basic, hears: "neither" },
  { name: "query", to: "wrong", head: { ":path": "/?k=%24MSB_API_KEY" }, hears: "neither" },
  {
    name: "body in two frames",
    to: "wrong",
    head: post,
    body: ["....$MSB_A", "PI_KEY...."],
    hears: "neither",
  },
  { name: "another authority", to: "right", head: { ":authority": wrongHost, ...key }, hears: "neither" },
  { name: "another host", to: "right", head: { host: wrongHost, ...key }, hears: "neither" },
  {
    name: "userinfo",
    to: "right",
    head: { ":authority": `www.example.com@${wrongHost}`, ...key },
    hears: "neither",
  },
  {
    name: "CONNECT",
    to: "right",
    head: { ":method": "CONNECT", ":authority": `${wrongHost}:443`, ...key },
    hears: "neither",
  },
];

export const http2Host = ({ to }: Http2Row): string => (to === "right" ? "www.example.com" : wrongHost);
