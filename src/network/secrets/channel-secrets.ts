import type { SecretConfig, ViolationAction } from "../../config/network/interception/secret-type.ts";
import type { MaybePromise, PromptBodyFilter } from "../http/inspector.ts";
import type { HttpField, RequestHead, ResponseHead } from "../http/message.ts";
import type { SecretValues } from "./secret-values.ts";

/** What is said of a sandbox's secrets. An `Interception` is that too. */
export interface SecretSettings {
  readonly secrets: readonly SecretConfig[];
  readonly secretViolation: ViolationAction;
  readonly values: SecretValues;
  /** A violation has this consequence: the sandbox ends. */
  readonly terminate: (reason: string) => void;
}

/** A request that may be sent, as far as secrets are concerned. */
export interface GuardedRequest {
  /** The one that was given when nothing in it was replaced. */
  readonly head: RequestHead;
  /** null passes the body on as it is. */
  readonly body: PromptBodyFilter | null;
  /** Variables of the secrets that were put in. It grows while the body passes. */
  readonly secrets: ReadonlySet<string>;
}

/** A response without values. It may be a `ResponseVerdict`. */
export interface GuardedResponse {
  readonly head: ResponseHead;
  /** null passes the body on as it is. */
  readonly body: PromptBodyFilter | null;
}

/**
 * The part of an `Inspector` that secrets are: the last to look at a request, the first to look at a response. Made by `guardChannel(settings,
 * channel, emit)`, once for each connection. It tells violations by itself.
 */
export interface ChannelSecrets {
  /**
   * @param host that the request is for, as it was checked: without a port, in lower case, without a dot at the end. null: it says none.
   * @throws Blocked
   */
  request(head: RequestHead, host: string | null): MaybePromise<GuardedRequest>;
  /** @param request that {@link GuardedRequest.head} was. @throws Blocked */
  trailers(fields: readonly HttpField[], request: RequestHead): readonly HttpField[];
  /** @param request that {@link GuardedRequest.head} was */
  response(head: ResponseHead, request: RequestHead): MaybePromise<GuardedResponse>;
  /** As `Inspector.responseFields()`. @param request that {@link GuardedRequest.head} was */
  responseFields(fields: readonly HttpField[], request: RequestHead): readonly HttpField[];
  /**
   * For what is no HTTP (any more), guest to server: placeholders are found, none is replaced.
   *
   * @param upgrade {@link GuardedRequest.head} of the request that was answered with 101; null: none was
   * @throws Blocked
   */
  raw(upgrade: RequestHead | null): PromptBodyFilter;
}
