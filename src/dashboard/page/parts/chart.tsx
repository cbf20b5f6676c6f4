import type { VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import Plot from "uplot";
import type { Sample } from "../../wire.ts";
import { minute } from "./format.ts";

export interface Line {
  readonly label: string;
  /** The newest, in words, where there is more than one line. */
  readonly now?: string;
  readonly of: (sample: Sample) => number;
}

interface ChartProps {
  readonly title: string;
  /** The newest, in words. */
  readonly now: string;
  readonly samples: readonly Sample[];
  readonly lines: readonly Line[];
  readonly text: (value: number) => string;
  /** The top of the chart is at least this. */
  readonly least: number;
}

const height = 150;
const shownSeconds = 180;
/** Round numbers of bytes, and of percents. */
const steps = [1, 2, 5, 10, 25, 50, 100, 200, ...Array.from({ length: 36 }, (_, power) => 2 ** (power + 9))];
/** Colours of the lines, of the style sheet. */
const colours = ["--accent", "--second"];

/** A chart of what a sandbox has used lately. */
export function Chart({ title, now, samples, lines, text, least }: ChartProps): VNode {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<Plot | null>(null);
  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    const make = (): void => {
      plot.current?.destroy();
      plot.current = makePlot(element, lines, text, least);
      plot.current.setData(dataOf(samples, lines));
    };
    make();
    const resized = new ResizeObserver(() => {
      plot.current?.setSize({ width: element.clientWidth, height });
    });
    resized.observe(element);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", make);
    return () => {
      scheme.removeEventListener("change", make);
      resized.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [title, least]);
  useEffect(() => {
    plot.current?.setData(dataOf(samples, lines));
  }, [samples]);
  return (
    <figure class="chart">
      <figcaption>
        <span>{title}</span>
        {lines.length === 1 ? (
          <strong>{now}</strong>
        ) : (
          <span class="key">
            {lines.map((line, index) => (
              <strong key={line.label} class={index === 0 ? "first" : "second"}>
                {line.now}
              </strong>
            ))}
          </span>
        )}
      </figcaption>
      <div ref={place} role="img" aria-label={`${title} of the last minutes; now ${now}`} />
    </figure>
  );
}

function dataOf(samples: readonly Sample[], lines: readonly Line[]): Plot.AlignedData {
  return [samples.map(({ at }) => at / 1000), ...lines.map(({ of }) => samples.map(of))];
}

function makePlot(
  element: HTMLElement,
  lines: readonly Line[],
  text: (value: number) => string,
  least: number,
): Plot {
  const colour = (name: string): string => resolved(element, name);
  const axis = {
    stroke: colour("--muted"),
    grid: { stroke: colour("--border"), width: 1 },
    ticks: { show: false },
    font: "11px system-ui, sans-serif",
  };
  return new Plot(
    {
      width: Math.max(1, element.clientWidth),
      height,
      // Beside the newest there is room for half of a label.
      padding: [null, 30, null, null],
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: { range: (_plot, _low, high) => [high - shownSeconds, high] },
        y: { range: (_plot, _low, high) => [0, Math.max(least, high * 1.1)] },
      },
      axes: [
        {
          ...axis,
          space: 60,
          size: 28,
          incrs: [60],
          values: (_plot, values) => values.map((at) => minute(at * 1000)),
        },
        { ...axis, size: 76, space: 30, incrs: steps, values: (_plot, values) => values.map(text) },
      ],
      series: [
        {},
        ...lines.map(({ label }, index) => ({
          label,
          stroke: colour(colours[index] ?? "--accent"),
          fill: `color-mix(in srgb, ${colour(colours[index] ?? "--accent")} 12%, transparent)`,
          width: 1.5,
          points: { show: false },
        })),
      ],
    },
    [[], ...lines.map(() => [])],
    element,
  );
}

/** A canvas knows no variables: the colour that one stands for here and now. */
function resolved(element: HTMLElement, name: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  element.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
