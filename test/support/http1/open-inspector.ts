import { Blocked, type PromptBodyFilter, type Inspector } from "../../../src/network/http/inspector.ts";
import type { RequestHead } from "../../../src/network/http/message.ts";

/** An inspector that lets everything through, and what it was asked. */
export interface OpenInspector {
  readonly inspector: Inspector;
  /** Of requests, in order. */
  readonly heads: RequestHead[];
  /** What was malformed. */
  readonly reasons: string[];
  /** What went through as no HTTP. */
  readonly raw: Buffer[];
}

/** @param changes what it does otherwise */
export function openInspector(changes: Partial<Inspector> = {}): OpenInspector {
  const heads: RequestHead[] = [];
  const reasons: string[] = [];
  const raw: Buffer[] = [];
  const inspector: Inspector = {
    request: (head) => {
      heads.push(head);
      return { kind: "forward", head, body: null };
    },
    trailers: (fields) => fields,
    response: (head) => ({ head, body: null }),
    responseFields: (fields) => fields,
    raw: () => ({
      changesLength: false,
      push: (bytes) => {
        raw.push(Buffer.from(bytes));
        return [bytes];
      },
      end: () => [],
    }),
    malformed: (reason) => {
      reasons.push(reason);
      return new Blocked(reason);
    },
    ...changes,
  };
  return { inspector, heads, reasons, raw };
}

/** Puts one text in the place of another in a body, also where it lies across pieces. */
export function replacing(from: string, to: string): PromptBodyFilter {
  let held = Buffer.alloc(0);
  const replace = (isLast: boolean): Buffer[] => {
    const text = held.toString("latin1").replaceAll(from, to);
    const keep = isLast ? 0 : Math.min(text.length, from.length - 1);
    held = Buffer.from(text.slice(text.length - keep), "latin1");
    return [Buffer.from(text.slice(0, text.length - keep), "latin1")];
  };
  return {
    changesLength: from.length !== to.length,
    push: (bytes) => {
      held = Buffer.concat([held, bytes]);
      return replace(false);
    },
    end: () => replace(true),
  };
}
