/** How every answer of an HTTP server begins. */
const httpName = Buffer.from("HTTP/");
/** Of a frame of HTTP/2 (RFC 9113, 4.1). */
const frameHeadBytes = 9;
const settingsFrame = 4;
const settingBytes = 6;
const nothing: Buffer = Buffer.alloc(0);

/** `settings`: as servers of HTTP/2 do, who need not wait for their client (RFC 9113, 3.4). `more`: that cannot be told yet. */
export type FirstWordsKind = "more" | "http" | "settings" | "other";

/** Tells from a server's first bytes whether it speaks HTTP. */
export class FirstWords {
  #held = nothing;

  /**
   * @param mayBeHttp2 whether the guest may speak it
   * @returns `all`: what came until now, once it is known what it is
   */
  push(bytes: Buffer, mayBeHttp2: boolean): { readonly kind: FirstWordsKind; readonly all: Buffer } {
    const all = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    const kind = kindOf(all, mayBeHttp2);
    this.#held = kind === "more" || kind === "settings" ? Buffer.from(all) : nothing;
    return { kind, all };
  }

  /** What came, and did not become anything. */
  rest(): Buffer {
    return this.#held;
  }
}

function kindOf(all: Buffer, mayBeHttp2: boolean): FirstWordsKind {
  const start = all.subarray(0, httpName.length);
  if (start.equals(httpName.subarray(0, start.length)))
    return start.length === httpName.length ? "http" : "more";
  if (!mayBeHttp2 || !isLikeSettings(all)) return "other";
  return all.length < frameHeadBytes ? "more" : "settings";
}

/** Whether it is how a frame begins with fewer than 256 bytes of settings, as far as it has come. */
function isLikeSettings(all: Buffer): boolean {
  const head = [...all.subarray(0, frameHeadBytes)];
  const [, , length = 0] = head;
  return (
    length % settingBytes === 0 &&
    head.every((byte, at) => at === 2 || byte === (at === 3 ? settingsFrame : 0))
  );
}
