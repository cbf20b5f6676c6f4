import type { VNode } from "preact";
import { Dialog } from "../../parts/dialog.tsx";
import { bytes } from "../../parts/format.ts";
import { useCall, Waiting } from "../../parts/loaded.tsx";
import { Table } from "../../parts/table.tsx";
import { useTitle } from "../../state/board.ts";
import { call, tell } from "../../state/call.ts";
import { useState } from "preact/hooks";

const names: Readonly<Record<string, string>> = { forkMemory: "memory of forks", other: "other" };

/** What everything takes on the disk. */
export function Space(): VNode {
  useTitle("Storage");
  const usage = useCall("storage.usage", {});
  const [isAsked, setAsked] = useState(false);
  return (
    <>
      <div class="head">
        <h1 tabIndex={-1}>Storage</h1>
        <button type="button" class="danger" onClick={() => setAsked(true)}>
          Prune
        </button>
      </div>
      {usage.value === null ? (
        <Waiting of={usage} />
      ) : (
        <>
          <p class="muted">
            {bytes(usage.value.totalBytes)} in <code>{usage.value.path}</code>
          </p>
          <Table
            caption="What takes how much"
            columns={["Kind", "Count", "In use", "Size", "Can be freed"]}
            empty="Nothing is stored."
            rows={usage.value.kinds.map((each) => ({
              key: each.kind,
              cells: [
                names[each.kind] ?? each.kind,
                each.count === null ? "–" : String(each.count),
                each.active === null ? "–" : String(each.active),
                bytes(each.bytes),
                bytes(each.reclaimableBytes),
              ],
            }))}
          />
        </>
      )}
      {isAsked && <PruneQuestion onClose={() => setAsked(false)} onDone={usage.again} />}
    </>
  );
}

interface PruneProps {
  readonly onClose: () => void;
  readonly onDone: () => void;
}

function PruneQuestion({ onClose, onDone }: PruneProps): VNode {
  const would = useCall("storage.prune", { dryRun: true });
  return (
    <Dialog
      title="Prune what nobody needs?"
      action="Prune"
      isDangerous
      onClose={onClose}
      onAction={async () => {
        const report = await call("storage.prune", { dryRun: false });
        tell(`${String(report.removed.length)} removed, ${bytes(report.bytes)} free again`);
        onDone();
      }}
    >
      {would.value === null ? (
        <Waiting of={would} />
      ) : would.value.removed.length === 0 ? (
        <p>Nothing would be removed.</p>
      ) : (
        <>
          <p>{bytes(would.value.bytes)} would be free again. This would be removed:</p>
          <pre>{would.value.removed.join("\n")}</pre>
        </>
      )}
    </Dialog>
  );
}
