import { checkWhole } from "../../config/checks.ts";
import { checkText } from "../../config/guest-text.ts";
import { pairsOf, type PairsInput } from "../../config/pairs.ts";
import { InvalidCursorError } from "../../errors/index.ts";
import type { SandboxHandle } from "./sandbox.ts";

/** A part of a list. */
export interface SandboxPage {
  readonly sandboxes: readonly SandboxHandle[];
  /** Pass it to `cursor()` for the next part; absent on the last one. */
  readonly nextCursor?: string;
}

export interface ListQuery {
  readonly limit: number;
  /** Where the page before ended. */
  readonly after: { readonly createdAt: string; readonly name: string } | null;
  readonly labels: ReadonlyMap<string, string>;
}

/** Says which sandboxes to list. */
export class SandboxListBuilder {
  #limit = 20;
  #after: ListQuery["after"] = null;
  readonly #labels = new Map<string, string>();

  /** At most so many, 1 to 100; by default 20. @throws InvalidConfigError */
  limit(count: number): this {
    this.#limit = checkWhole("the limit", count, 1, 100);
    return this;
  }

  /** Goes on where the page with this `nextCursor` ended. @throws InvalidCursorError */
  cursor(cursor: string): this {
    this.#after = decodeCursor(cursor);
    return this;
  }

  /** Only sandboxes that have this label. Several labels must all match. */
  label(key: string, value: string): this {
    this.#labels.set(checkText("a label's key", key), checkText("a label's value", value));
    return this;
  }

  labels(values: PairsInput): this {
    for (const [key, value] of pairsOf("labels", values)) this.label(key as string, value as string);
    return this;
  }

  /** @internal */
  query(): ListQuery {
    return { limit: this.#limit, after: this.#after, labels: this.#labels };
  }
}

export function encodeCursor(createdAt: string, name: string): string {
  return Buffer.from(JSON.stringify([createdAt, name])).toString("base64url");
}

function decodeCursor(cursor: string): NonNullable<ListQuery["after"]> {
  try {
    const decoded: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
    if (Array.isArray(decoded) && decoded.length === 2) {
      const [createdAt, name] = decoded as unknown[];
      if (typeof createdAt === "string" && typeof name === "string") return { createdAt, name };
    }
  } catch {
    // Refused below, like everything else that was not made by encodeCursor.
  }
  throw new InvalidCursorError("the list cursor is not valid", {
    hint: "Pass the nextCursor of a page as it is.",
  });
}
