import type { JobAttachment, JobEvent } from "../../../src/index.ts";

export async function gathered<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Everything that comes, up to the end. */
export async function allEvents(attachment: JobAttachment): Promise<JobEvent[]> {
  return await gathered(attachment);
}

/** What was printed, to all sources or to one. */
export function textOf(events: readonly JobEvent[], source?: string): string {
  return Buffer.concat(
    events.flatMap((event) =>
      event.kind === "output" && (source === undefined || event.source === source) ? [event.data] : [],
    ),
  ).toString();
}

/** How many bytes were missed at a time. */
export function gapsOf(events: readonly JobEvent[]): number[] {
  return events.flatMap((event) => (event.kind === "gap" ? [event.bytes] : []));
}

/** Reads until this was printed. */
export async function untilPrinted(attachment: JobAttachment, text: string): Promise<JobEvent[]> {
  const events: JobEvent[] = [];
  while (!textOf(events).includes(text)) {
    const event = await attachment.recv();
    if (event === null) throw new Error(`it ended without ${JSON.stringify(text)}: ${textOf(events)}`);
    events.push(event);
  }
  return events;
}
