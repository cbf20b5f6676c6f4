import type { CallName, Calls, Failure } from "../../wire.ts";
import { token } from "./session.ts";
import { Store } from "./store.ts";

/** A call of the server's that has failed. */
export class CallError extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.failure = failure;
  }
}

/** What the user is to know, until he has seen it. */
export interface Notice {
  readonly isError: boolean;
  readonly text: string;
  readonly hint: string;
}
export const notice: Store<Notice | null> = new Store<Notice | null>(null);

/** Asks the server for something. @throws CallError */
export async function call<Name extends CallName>(
  name: Name,
  args: Calls[Name]["args"],
  signal?: AbortSignal,
): Promise<Calls[Name]["result"]> {
  const response = await ask(`/api/${name}`, {
    method: "POST",
    body: JSON.stringify(args),
    headers: { "Content-Type": "application/json" },
    signal: signal ?? null,
  });
  return (await response.json()) as Calls[Name]["result"];
}

/** The contents of a file of a guest. @param path in base64url */
export async function fetchFile(sandbox: string, path: string): Promise<Blob> {
  return await (await ask(fileAddress(sandbox, path), {})).blob();
}

/** Writes a file of a guest. @param path in base64url */
export async function sendFile(sandbox: string, path: string, content: Blob): Promise<void> {
  await ask(fileAddress(sandbox, path), { method: "PUT", body: content });
}

function fileAddress(sandbox: string, path: string): string {
  return `/file?${new URLSearchParams({ sandbox, path }).toString()}`;
}

async function ask(address: string, request: RequestInit): Promise<Response> {
  let response: Response;
  const headers = new Headers(request.headers);
  headers.set("Authorization", `Bearer ${token}`);
  try {
    response = await fetch(address, { ...request, headers });
  } catch (error) {
    if (request.signal?.aborted === true) throw error;
    throw new CallError({
      code: "lost",
      message: "the dashboard's server does not answer",
      hint: "Start it again: msb dashboard",
    });
  }
  if (response.ok) return response;
  throw new CallError((await response.json()) as Failure);
}

/** Shows what went wrong. */
export function complain(error: unknown): void {
  if (error instanceof DOMException && error.name === "AbortError") return;
  const { message, hint } = failureOf(error);
  notice.set({ isError: true, text: message, hint });
}

/** Tells that something was done, and what is to be known of it. */
export function tell(text: string, notices: readonly string[] = []): void {
  notice.set({ isError: false, text, hint: notices.join("\n") });
}

export function failureOf(error: unknown): Failure {
  if (error instanceof CallError) return error.failure;
  return { code: "page", message: error instanceof Error ? error.message : String(error), hint: "" };
}
