import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { PruneReport } from "../../wire.ts";
import { tell } from "../state/call.ts";
import { Dialog } from "./dialog.tsx";
import { bytes } from "./format.ts";

interface PruneProps {
  readonly title: string;
  /** What goes. */
  readonly what: string;
  readonly prune: () => Promise<PruneReport>;
  readonly onDone: () => void;
}

/** A button that removes what nobody needs, when that is confirmed. */
export function Prune({ title, what, prune, onDone }: PruneProps): VNode {
  const [isAsked, setAsked] = useState(false);
  return (
    <>
      <button type="button" class="danger" onClick={() => setAsked(true)}>
        {title}
      </button>
      {isAsked && (
        <Dialog
          title={`${title}?`}
          action="Prune"
          isDangerous
          onClose={() => setAsked(false)}
          onAction={async () => {
            const report = await prune();
            tell(`${String(report.removed.length)} removed, ${bytes(report.bytes)} free again`);
            onDone();
          }}
        >
          <p>{what}</p>
        </Dialog>
      )}
    </>
  );
}

interface RemoveProps {
  readonly name: string;
  readonly what: string;
  readonly remove: () => Promise<unknown>;
  readonly onDone: () => void;
}

/** A button that removes one thing, when that is confirmed. */
export function Remove({ name, what, remove, onDone }: RemoveProps): VNode {
  const [isAsked, setAsked] = useState(false);
  return (
    <>
      <button type="button" class="danger" aria-label={`Remove ${name}`} onClick={() => setAsked(true)}>
        Remove
      </button>
      {isAsked && (
        <Dialog
          title={`Remove ${name}?`}
          action="Remove"
          isDangerous
          onClose={() => setAsked(false)}
          onAction={async () => {
            await remove();
            tell(`${name} was removed`);
            onDone();
          }}
        >
          <p>{what}</p>
        </Dialog>
      )}
    </>
  );
}
