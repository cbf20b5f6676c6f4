import type { VNode } from "preact";
import { bytes, date } from "../../parts/format.ts";
import { useCall, Waiting } from "../../parts/loaded.tsx";
import { Prune, Remove } from "../../parts/prune.tsx";
import { Table } from "../../parts/table.tsx";
import { useTitle } from "../../state/board.ts";
import { call } from "../../state/call.ts";

export function Volumes(): VNode {
  useTitle("Volumes");
  const volumes = useCall("volumes.list", {});
  return (
    <>
      <div class="head">
        <h1 tabIndex={-1}>Volumes</h1>
        <Prune
          title="Prune volumes"
          what="Every volume that no sandbox has is removed, with all that is in it."
          prune={() => call("volumes.prune", {})}
          onDone={volumes.again}
        />
      </div>
      {volumes.value === null ? (
        <Waiting of={volumes} />
      ) : (
        <Table
          caption="Volumes"
          columns={["Volume", "Kind", "Size", "Limit", "Created", ""]}
          empty="There are no named volumes."
          rows={volumes.value.map((volume) => ({
            key: volume.name,
            cells: [
              volume.name,
              volume.kind,
              bytes(volume.usedBytes),
              volume.limitMib === null ? "–" : `${String(volume.limitMib)} MiB`,
              date(volume.createdAt),
              <Remove
                name={volume.name}
                what="All that is in it is gone for good."
                remove={() => call("volumes.remove", { name: volume.name })}
                onDone={volumes.again}
              />,
            ],
          }))}
        />
      )}
    </>
  );
}
