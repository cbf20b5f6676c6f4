import type { VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface SparklineProps {
  /** Oldest first. */
  readonly values: readonly number[];
  /** What the top of it is; it is higher where the values are. */
  readonly least: number;
  readonly label: string;
}

/** So many values fill its width. */
const most = 60;

/** A line in the size of a word. What it says in numbers stands beside it. */
export function Sparkline({ values, least, label }: SparklineProps): VNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    if (canvas.current !== null) draw(canvas.current, values.slice(-most), least);
  });
  return <canvas ref={canvas} class="sparkline" role="img" aria-label={label} />;
}

function draw(canvas: HTMLCanvasElement, values: readonly number[], least: number): void {
  const context = canvas.getContext("2d");
  if (context === null) return;
  // Setting a size clears it. It does not change while the page is not laid out anew.
  const { clientWidth, clientHeight } = canvas;
  const width = Math.round(clientWidth * devicePixelRatio);
  const height = Math.round(clientHeight * devicePixelRatio);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  else context.clearRect(0, 0, width, height);
  if (values.length < 2) return;
  const line = devicePixelRatio;
  const top = Math.max(least, ...values);
  const x = (index: number): number => width - ((values.length - 1 - index) * width) / (most - 1);
  const y = (value: number): number => height - line - (value / top) * (height - 2 * line);
  context.strokeStyle = context.fillStyle = getComputedStyle(canvas).color;
  context.lineWidth = 1.5 * line;
  context.lineJoin = "round";
  context.beginPath();
  for (const [index, value] of values.entries()) context.lineTo(x(index), y(value));
  context.stroke();
  context.lineTo(width, height);
  context.lineTo(x(0), height);
  context.globalAlpha = 0.15;
  context.fill();
  context.globalAlpha = 1;
}
