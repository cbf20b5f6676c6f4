import type { VNode } from "preact";
import { Chart } from "../parts/chart.tsx";
import { bytes, date, duration, percent, rate } from "../parts/format.ts";
import { useCall } from "../parts/loaded.tsx";
import type { Entry } from "../state/board.ts";

export function Overview({ entry: { row, samples } }: { readonly entry: Entry }): VNode {
  const view = useCall("sandbox.get", { name: row.name }, row.status).value;
  const last = samples.at(-1);
  const isUp = ["running", "draining", "paused"].includes(row.status);
  return (
    <>
      {view !== null && view.bootError !== null && (
        <section class="problem" aria-label="The latest start failed">
          <p>{view.bootError.message}</p>
          <p class="hint">{view.bootError.hint}</p>
          {view.bootError.console !== "" && <pre>{view.bootError.console}</pre>}
        </section>
      )}
      {isUp && last !== undefined && (
        <div class="charts">
          <Chart
            title="Processor"
            now={percent(last.cpu)}
            samples={samples}
            lines={[{ label: "used", of: ({ cpu }) => cpu }]}
            text={percent}
            least={100}
          />
          <Chart
            title="Memory"
            now={`${bytes(last.memory)} of ${bytes(last.memoryLimit)}`}
            samples={samples}
            lines={[{ label: "used", of: ({ memory }) => memory }]}
            text={bytes}
            least={last.memoryLimit}
          />
          <Chart
            title="Disk"
            now={`${rate(last.diskRead)} read, ${rate(last.diskWrite)} written`}
            samples={samples}
            lines={[
              { label: "read", now: `${rate(last.diskRead)} read`, of: ({ diskRead }) => diskRead },
              { label: "written", now: `${rate(last.diskWrite)} written`, of: ({ diskWrite }) => diskWrite },
            ]}
            text={rate}
            least={1 << 20}
          />
          <Chart
            title="Network"
            now={`${rate(last.netIn)} in, ${rate(last.netOut)} out`}
            samples={samples}
            lines={[
              { label: "in", now: `${rate(last.netIn)} in`, of: ({ netIn }) => netIn },
              { label: "out", now: `${rate(last.netOut)} out`, of: ({ netOut }) => netOut },
            ]}
            text={rate}
            least={1 << 16}
          />
        </div>
      )}
      <dl class="facts">
        <dt>Image</dt>
        <dd>{row.image}</dd>
        <dt>Size</dt>
        <dd>
          {row.cpus === null ? "" : `${String(row.cpus)} ${row.cpus === 1 ? "processor" : "processors"}, `}
          {row.memoryMib === null ? "" : `${String(row.memoryMib)} MiB`}
        </dd>
        <dt>Ports</dt>
        <dd>
          {row.ports.length === 0
            ? "–"
            : row.ports.map(({ hostBind, hostPort, guestPort, protocol }) => (
                <div key={`${hostBind} ${String(hostPort)} ${protocol}`}>
                  {hostBind}:{String(hostPort)} → {String(guestPort)}/{protocol}
                </div>
              ))}
        </dd>
        {isUp && last !== undefined && (
          <>
            <dt>Runs for</dt>
            <dd>{duration(last.uptimeMs)}</dd>
            <dt>Disk</dt>
            <dd>
              {last.diskUsed === null ? "–" : `${bytes(last.diskUsed)} used, ${bytes(last.diskFree)} free`}
            </dd>
          </>
        )}
        <dt>Created</dt>
        <dd>{date(row.createdAt)}</dd>
        <dt>Accelerator</dt>
        <dd>{view?.accelerator ?? "–"}</dd>
        <dt>Latest start</dt>
        <dd>{view?.start ?? "–"}</dd>
        <dt>Id</dt>
        <dd>
          <code>{row.id}</code>
        </dd>
      </dl>
    </>
  );
}
