import type { VNode } from "preact";
import { bytes, date, plain } from "../../parts/format.ts";
import { useCall, Waiting } from "../../parts/loaded.tsx";
import { Prune, Remove } from "../../parts/prune.tsx";
import { Table } from "../../parts/table.tsx";
import { useTitle } from "../../state/board.ts";
import { call } from "../../state/call.ts";

export function Images(): VNode {
  useTitle("Images");
  const images = useCall("images.list", {});
  return (
    <>
      <div class="head">
        <h1 tabIndex={-1}>Images</h1>
        <Prune
          title="Prune images"
          what="Every image that no sandbox and no snapshot has is removed. It is pulled again when it is asked for."
          prune={() => call("images.prune", {})}
          onDone={images.again}
        />
      </div>
      {images.value === null ? (
        <Waiting of={images} />
      ) : (
        <Table
          caption="Images"
          columns={["Image", "Size", "Came", "Last used", ""]}
          empty="No image was pulled yet. localhost/base comes with microsandbox."
          rows={images.value.map((image) => ({
            key: image.reference,
            cells: [
              <>
                {plain(image.reference)}
                {image.damage !== null && <span class="under bad">{image.damage}</span>}
              </>,
              bytes(image.sizeBytes),
              date(image.createdAt),
              date(image.lastUsedAt),
              <Remove
                name={plain(image.reference)}
                what="It is pulled again when it is asked for."
                remove={() => call("images.remove", { reference: image.reference })}
                onDone={images.again}
              />,
            ],
          }))}
        />
      )}
    </>
  );
}
