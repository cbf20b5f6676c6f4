import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { LogLine, SandboxRow } from "../../wire.ts";
import { formText } from "../parts/form-text.ts";
import { plain, time } from "../parts/format.ts";
import { call, complain } from "../state/call.ts";
import { watch } from "../state/live.ts";

/** So many lines are in the page; all are in the log. */
const mostLines = 2000;

/** What a sandbox's commands print, and what happens to it. */
export function Logs({ row }: { readonly row: SandboxRow }): VNode {
  const { name } = row;
  const list = useRef<HTMLDivElement>(null);
  const [found, setFound] = useState<{ readonly lines: readonly LogLine[]; readonly more: number } | null>(
    null,
  );
  const [isOver, setOver] = useState(false);
  const [turn, setTurn] = useState(0);
  const [isSearching, setSearching] = useState(false);
  // A sandbox that was started again logs again.
  const isUp = row.status !== "stopped" && row.status !== "crashed";
  useEffect(() => {
    if (isUp && isOver) setTurn((before) => before + 1);
  }, [isUp]);
  useEffect(() => {
    if (found !== null) return undefined;
    setOver(false);
    return watch(
      "logs",
      { name },
      {
        begin: () => list.current?.replaceChildren(),
        news: ({ lines, skipped }) => {
          if (list.current !== null) add(list.current, lines, skipped);
        },
        end: (failure) => {
          setOver(true);
          if (failure !== null && failure.code !== "sandboxNotFound") complain(failure);
        },
      },
    );
  }, [name, found, turn]);
  useEffect(() => {
    if (found === null || list.current === null) return;
    list.current.replaceChildren();
    add(list.current, found.lines, 0);
  }, [found]);
  const search = async (form: HTMLFormElement): Promise<void> => {
    const text = formText(new FormData(form), "text");
    if (text === "") {
      setFound(null);
      return;
    }
    setSearching(true);
    try {
      setFound(await call("logs.search", { name, text }));
    } catch (error) {
      complain(error);
    } finally {
      setSearching(false);
    }
  };
  return (
    <section aria-label="Logs">
      <form
        class="row"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          void search(event.currentTarget);
        }}
      >
        <input
          type="search"
          name="text"
          aria-label="Search the whole log"
          placeholder="Search the whole log"
        />
        <button type="submit" disabled={isSearching}>
          {isSearching ? "Searching…" : "Search"}
        </button>
        {found !== null && (
          <button
            type="button"
            onClick={(event) => {
              event.currentTarget.form?.reset();
              setFound(null);
            }}
          >
            Show all
          </button>
        )}
        <span class="muted" role="status">
          {found !== null
            ? `${String(found.lines.length)} lines found${found.more > 0 ? `, and ${String(found.more)} before them` : ""}`
            : isOver
              ? "The log has ended."
              : "Live"}
        </span>
      </form>
      <div ref={list} class="log" role="log" aria-live="off" aria-label="Lines of the log" tabIndex={0} />
    </section>
  );
}

/** Lines as elements of their own, made once: there may be many a second. What they say is never more than text. */
function add(list: HTMLElement, lines: readonly LogLine[], skipped: number): void {
  const isAtEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 30;
  const made = document.createDocumentFragment();
  if (skipped > 0)
    made.append(lineOf("skipped", "", `… lines came too fast to be shown: they are in the log`));
  for (const line of lines.slice(-mostLines)) {
    const session = line.session === null ? line.source : `${line.source} ${String(line.session)}`;
    made.append(lineOf(line.source, `${time(line.at)} ${session}`, line.text));
  }
  list.append(made);
  while (list.childElementCount > mostLines) list.firstElementChild?.remove();
  if (isAtEnd) list.scrollTop = list.scrollHeight;
}

function lineOf(source: string, head: string, text: string): HTMLElement {
  const line = document.createElement("div");
  line.className = `line ${source}`;
  const mark = document.createElement("span");
  mark.className = "mark";
  mark.textContent = head;
  const body = document.createElement("span");
  body.textContent = plain(text.replaceAll("\t", "    "));
  line.append(mark, body);
  return line;
}
