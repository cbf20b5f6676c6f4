import type { SecureContext } from "node:tls";
import type { HttpConfig } from "../../config/network/interception/http-type.ts";
import type { SecretConfig, ViolationAction } from "../../config/network/interception/secret-type.ts";
import type { TlsConfig } from "../../config/network/interception/tls-type.ts";
import type { Asking, MaybePromise, Reading, RequestVerdict, ResponseVerdict } from "../http/inspector.ts";
import type { RequestHead, ResponseHead } from "../http/message.ts";
import type { SecretValues } from "../secrets/secret-values.ts";

/** Certificates for the guest. */
export interface LeafSource {
  /** @throws when the name can be nobody's. Others are not affected. */
  contextFor(name: string): MaybePromise<SecureContext>;
}

/** Whom the host believes. */
export interface UpstreamTrust {
  /** What a connection to a server of this name is made with: its authorities, and whether it has to prove anything. */
  optionsFor(name: string): MaybePromise<{ readonly secureContext: SecureContext; readonly verify: boolean }>;
}

/** The program's functions that look at requests and responses. */
export interface HttpHooks {
  /** Called after the rules have let a request through, and before secrets are put in. @throws HookFailed */
  request(
    head: RequestHead,
    about: RequestContext,
    asking: Asking,
  ): MaybePromise<RequestVerdict | Reading<RequestVerdict>>;
  /** @param request as the functions have seen it or made it, without secrets @throws HookFailed */
  response(
    head: ResponseHead,
    request: RequestHead,
    about: RequestContext,
    asking: Asking,
  ): MaybePromise<ResponseVerdict | Reading<ResponseVerdict>>;
}

/** A function of the program has failed, or there is no program any more. Nothing of the request goes on. */
export class HookFailed extends Error {
  override readonly name = "HookFailed";
  /** What the guest is answered: 502, 503 when nobody could be asked, 504 when there was no answer in time. */
  readonly status: number;

  /** @param message a few words for the guest and the log: nothing of what the function itself has said */
  constructor(status: 502 | 503 | 504, message: string) {
    super(message);
    this.status = status;
  }
}

/** Where a request goes to. */
export interface RequestContext {
  readonly isTls: boolean;
  /** Of the authority, in lower case, without a port. */
  readonly host: string;
  readonly address: string;
  readonly port: number;
}

/** What the gateway reads requests with. It changes while the sandbox runs by being replaced: connections keep what they began with. */
export interface Interception {
  /** null: TLS is passed on as it is. */
  readonly tls: TlsConfig | null;
  readonly leaves: LeafSource;
  readonly trust: UpstreamTrust;
  readonly secrets: readonly SecretConfig[];
  readonly secretViolation: ViolationAction;
  readonly values: SecretValues;
  readonly http: HttpConfig | null;
  /** null: the program has none. */
  readonly hooks: HttpHooks | null;
  /** A violation has this consequence: the sandbox ends. */
  readonly terminate: (reason: string) => void;
}
