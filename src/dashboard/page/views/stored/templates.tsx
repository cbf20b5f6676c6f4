import type { VNode } from "preact";
import { bytes, date } from "../../parts/format.ts";
import { useCall, Waiting } from "../../parts/loaded.tsx";
import { Prune } from "../../parts/prune.tsx";
import { Table } from "../../parts/table.tsx";
import { useTitle } from "../../state/board.ts";
import { call } from "../../state/call.ts";

export function Templates(): VNode {
  useTitle("Templates");
  const templates = useCall("templates.list", {});
  return (
    <>
      <div class="head">
        <h1 tabIndex={-1}>Templates</h1>
        <Prune
          title="Prune templates"
          what="All of them are removed. The next start of a sandbox makes its template again, and takes longer."
          prune={() => call("templates.prune", {})}
          onDone={templates.again}
        />
      </div>
      <p class="muted">
        What sandboxes start from, so that no kernel has to boot: one for each shape of machine and image.
      </p>
      {templates.value === null ? (
        <Waiting of={templates} />
      ) : (
        <Table
          caption="Templates"
          columns={["Template", "Status", "Kind", "Image", "Shape", "Size", "Last used"]}
          empty="There are no templates. The first start of a sandbox makes one."
          rows={templates.value.map((template) => ({
            key: template.key,
            cells: [
              <code>{template.key.slice(0, 12)}</code>,
              template.reason === "" ? template.status : `${template.status}: ${template.reason}`,
              template.kind,
              template.image ?? "–",
              template.shape,
              bytes(template.sizeBytes),
              date(template.lastUsedAt),
            ],
          }))}
        />
      )}
    </>
  );
}
