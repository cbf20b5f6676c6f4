import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Sample } from "../../wire.ts";
import { Problem } from "../parts/dialog.tsx";
import { bytes, percent, rate } from "../parts/format.ts";
import { Sparkline } from "../parts/sparkline.tsx";
import { StatusMark } from "../parts/status.tsx";
import { entryOf, order, problem, useTitle, type Entry } from "../state/board.ts";
import { to } from "../state/route.ts";
import { useStore, type Store } from "../state/store.ts";
import { Actions } from "./actions.tsx";
import { Create } from "./create.tsx";

/** All sandboxes, as they are now. */
export function SandboxList(): VNode {
  useTitle("Sandboxes");
  const ids = useStore(order);
  const why = useStore(problem);
  const [isCreating, setCreating] = useState(false);
  const [filter, setFilter] = useState("");
  const wanted = filter.trim().toLowerCase();
  const shown = (ids ?? []).filter((id) => {
    const row = entryOf(id)?.value.row;
    return row !== undefined && `${row.name} ${row.image} ${row.status}`.toLowerCase().includes(wanted);
  });
  return (
    <>
      <div class="head">
        <h1 tabIndex={-1}>Sandboxes</h1>
        <input
          type="search"
          placeholder="Filter"
          aria-label="Filter by name, image or status"
          value={filter}
          onInput={(event) => setFilter(event.currentTarget.value)}
        />
        <button type="button" class="primary" onClick={() => setCreating(true)}>
          New sandbox
        </button>
      </div>
      {why !== null && <Problem failure={why} />}
      {ids === null ? (
        <p class="muted">Loading…</p>
      ) : ids.length === 0 ? (
        why === null && <p class="empty">There are no sandboxes yet. Make one here, or with “msb run”.</p>
      ) : (
        <table class="cards sandboxes">
          <caption class="unseen">
            Sandboxes, {String(shown.length)} of {String(ids.length)}
          </caption>
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Status</th>
              <th scope="col">Processor</th>
              <th scope="col">Memory</th>
              <th scope="col">Disk</th>
              <th scope="col">Network</th>
              <th scope="col">
                <span class="unseen">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map((id) => {
              const entry = entryOf(id);
              return entry === null ? null : <Row key={id} store={entry} />;
            })}
          </tbody>
        </table>
      )}
      {isCreating && <Create onClose={() => setCreating(false)} />}
    </>
  );
}

const isUp = (status: string): boolean => ["running", "draining", "paused"].includes(status);

function Row({ store }: { readonly store: Store<Entry> }): VNode {
  const element = useRef<HTMLTableRowElement>(null);
  const { row, samples } = useVisible(store, element);
  const last = isUp(row.status) ? samples.at(-1) : undefined;
  return (
    <tr ref={element}>
      <th scope="row" data-label="Name">
        <a href={to("sandbox", row.name)}>{row.name}</a>
        <span class="under">{row.image}</span>
      </th>
      <td data-label="Status">
        <StatusMark status={row.status} />
      </td>
      <Use
        label="Processor"
        text={last && percent(last.cpu)}
        samples={samples}
        of={({ cpu }) => cpu}
        least={100}
      />
      <Use
        label="Memory"
        text={last && bytes(last.memory)}
        samples={samples}
        of={({ memory }) => memory}
        least={last?.memoryLimit ?? 1}
      />
      <Use
        label="Disk"
        text={last && rate(last.diskRead + last.diskWrite)}
        samples={samples}
        of={({ diskRead, diskWrite }) => diskRead + diskWrite}
        least={1 << 20}
      />
      <Use
        label="Network"
        text={last && rate(last.netIn + last.netOut)}
        samples={samples}
        of={({ netIn, netOut }) => netIn + netOut}
        least={1 << 16}
      />
      <td class="actions" data-label="Actions">
        <Actions row={row} short />
      </td>
    </tr>
  );
}

interface UseProps {
  readonly label: string;
  readonly text: string | undefined;
  readonly samples: readonly Sample[];
  readonly of: (sample: Sample) => number;
  readonly least: number;
}

function Use({ label, text, samples, of, least }: UseProps): VNode {
  return (
    <td class="use" data-label={label}>
      {text === undefined ? (
        <span class="muted">–</span>
      ) : (
        <>
          <span class="number">{text}</span>
          <Sparkline values={samples.map(of)} least={least} label={`${label} of the last minute`} />
        </>
      )}
    </td>
  );
}

const rows = new WeakMap<Element, (isSeen: boolean) => void>();
let observer: IntersectionObserver | null = null;

/** An entry, drawn anew when it changes and can be seen: of a hundred rows most cannot. */
function useVisible(store: Store<Entry>, element: { readonly current: Element | null }): Entry {
  const [, draw] = useState({});
  useEffect(() => {
    const row = element.current;
    if (row === null) return undefined;
    observer ??= new IntersectionObserver(
      (seen) => {
        for (const { target, isIntersecting } of seen) rows.get(target)?.(isIntersecting);
      },
      { rootMargin: "100px" },
    );
    let isSeen = false;
    rows.set(row, (now) => {
      isSeen = now;
      if (now) draw({});
    });
    observer.observe(row);
    const end = store.listen(() => {
      if (isSeen) draw({});
    });
    return () => {
      observer?.unobserve(row);
      end();
    };
  }, [store]);
  return store.value;
}
