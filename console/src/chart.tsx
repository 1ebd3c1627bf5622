// A chart of the loaded rows: a line over times, bars over names, points over numbers.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Cell } from "./api.ts";
import { number, plain } from "./format.ts";
import { type Loaded, kindOf, textOf } from "./grid.tsx";
import { allRows } from "./summary.tsx";
import { messageOf } from "./ui.tsx";

type Shape = "line" | "bar" | "scatter";

const MAX_BARS = 200;
const HEIGHT = 320;

/** What suits the columns: the first that can be an axis, and the first number beside it. */
export function defaultsOf(kinds: string[]): { x: number; y: number; shape: Shape } | null {
  const numbers = kinds.flatMap((kind, column) => (kind === "number" ? [column] : []));
  if (numbers.length === 0) return null;
  const times = kinds.indexOf("time");
  if (times >= 0) return { x: times, y: numbers[0] ?? 0, shape: "line" };
  const words = kinds.findIndex((kind) => kind === "text" || kind === "boolean");
  if (words >= 0) return { x: words, y: numbers[0] ?? 0, shape: "bar" };
  if (numbers.length === 1) return { x: numbers[0] ?? 0, y: numbers[0] ?? 0, shape: "bar" };
  return { x: numbers[0] ?? 0, y: numbers[1] ?? 0, shape: "scatter" };
}

/** A token's colour as the canvas needs it: computed, because it depends on light and dark. */
function color(name: string): string {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

export function Chart({ loaded }: { loaded: Loaded }) {
  const rows = useMemo(() => allRows(loaded), [loaded.pages]);
  const kinds = useMemo(
    () => loaded.columns.map((_name, column) => kindOf(rows.map((row) => row[column] ?? null))),
    [rows, loaded.columns],
  );
  const suits = useMemo(() => defaultsOf(kinds), [kinds]);
  const [x, setX] = useState(suits?.x ?? 0);
  const [y, setY] = useState(suits?.y ?? 0);
  const [shape, setShape] = useState<Shape>(suits?.shape ?? "bar");
  const [error, setError] = useState<string>();
  const place = useRef<HTMLDivElement>(null);

  useEffect(() => {
    const element = place.current;
    if (!element || !suits) return;
    let isGone = false;
    let destroy = () => {};
    const draw = async () => {
      const { default: UPlot } = await import("uplot");
      if (isGone) return;
      const drawn = drawing(rows, kinds, { x, y, shape });
      element.replaceChildren();
      const plot = new UPlot(
        {
          width: Math.max(280, element.clientWidth),
          height: HEIGHT,
          legend: { show: false },
          cursor: { y: false },
          scales: { x: { time: drawn.isTime, range: drawn.range } },
          axes: [
            { stroke: color("--text"), grid: { stroke: color("--line"), width: 1 }, values: drawn.labels },
            { stroke: color("--text"), grid: { stroke: color("--line"), width: 1 }, size: 70 },
          ],
          series: [
            {},
            {
              label: loaded.columns[y] ?? "",
              stroke: color("--accent"),
              fill: shape === "bar" ? color("--accent") : undefined,
              width: shape === "scatter" ? 0 : 2,
              paths: shape === "bar" ? UPlot.paths.bars?.({ size: [0.7, 60] }) : shape === "scatter" ? () => null : undefined,
              points: { show: shape === "scatter" || (shape === "line" && drawn.data[0].length < 60), size: 6 },
            },
          ],
        },
        drawn.data,
        element,
      );
      destroy = () => plot.destroy();
    };
    draw().then(
      () => setError(undefined),
      (failure) => setError(messageOf(failure)),
    );
    return () => {
      isGone = true;
      destroy();
    };
  }, [rows, x, y, shape]);

  if (!suits) return <p class="nothing">A chart needs a column of numbers; this result has none.</p>;
  const save = () => {
    const canvas = place.current?.querySelector("canvas");
    if (!canvas) return;
    const picture = document.createElement("canvas");
    picture.width = canvas.width;
    picture.height = canvas.height;
    const pen = picture.getContext("2d");
    if (!pen) return;
    pen.fillStyle = color("--panel");
    pen.fillRect(0, 0, picture.width, picture.height);
    pen.drawImage(canvas, 0, 0);
    const link = document.createElement("a");
    link.download = "chart.png";
    link.href = picture.toDataURL("image/png");
    link.click();
  };
  const choose = (label: string, value: number, set: (column: number) => void, numbersOnly: boolean) => (
    <label class="inline">
      {label}{" "}
      <select value={value} onChange={(event) => set(Number(event.currentTarget.value))}>
        {loaded.columns.map((name, column) =>
          numbersOnly && kinds[column] !== "number" ? null : <option value={column}>{plain(name)}</option>,
        )}
      </select>
    </label>
  );
  return (
    <>
      <div class="bar">
        <label class="inline">
          Shape{" "}
          <select value={shape} onChange={(event) => setShape(event.currentTarget.value as Shape)}>
            <option value="line">Line</option>
            <option value="bar">Bar</option>
            <option value="scatter">Scatter</option>
          </select>
        </label>
        {choose("Across", x, setX, false)}
        {choose("Up", y, setY, true)}
        <span class="grow" />
        <button type="button" class="quiet" onClick={save}>
          Save as PNG
        </button>
      </div>
      {error && <p role="alert">{error}</p>}
      <div class="chart" ref={place} role="img" aria-label={`${shape} chart of ${loaded.columns[y]} by ${loaded.columns[x]}`} />
      <p class="muted">
        {rows.length < loaded.total ? `Of ${number(rows.length)} rows that are loaded; the file has ${number(loaded.total)}.` : `Of all ${number(rows.length)} rows.`}
        {shape === "bar" && rows.length > MAX_BARS && ` Bars: the first ${MAX_BARS}.`}
      </p>
    </>
  );
}

interface Drawing {
  data: [number[], (number | null)[]];
  isTime: boolean;
  range?: (plot: unknown, least: number, most: number) => [number, number];
  labels?: (plot: unknown, ticks: number[]) => string[];
}

const asNumber = (value: Cell): number | null => (value === null || value === undefined || value === "" ? null : Number(value));

/** uPlot wants its first axis as ascending numbers: names become their places. */
function drawing(rows: Cell[][], kinds: string[], { x, y, shape }: { x: number; y: number; shape: Shape }): Drawing {
  if (shape === "bar" || (kinds[x] !== "number" && kinds[x] !== "time")) {
    const bars = rows.slice(0, MAX_BARS);
    const names = bars.map((row) => plain(textOf(row[x] ?? null)).slice(0, 14));
    return {
      data: [bars.map((_row, index) => index), bars.map((row) => asNumber(row[y] ?? null))],
      isTime: false,
      range: (_plot, least, most) => [least - 0.5, most + 0.5],
      labels: (_plot, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? (names[tick] ?? "") : "")),
    };
  }
  const isTime = kinds[x] === "time";
  const at = (value: Cell): number => (isTime ? Date.parse(String(value).replace(" ", "T").replace(/ UTC$/, "Z")) / 1000 : Number(value));
  const points = rows
    .filter((row) => row[x] !== null && row[x] !== undefined)
    .map((row): [number, number | null] => [at(row[x]), asNumber(row[y] ?? null)])
    .filter(([position]) => Number.isFinite(position))
    .sort(([one], [other]) => one - other);
  return { data: [points.map(([position]) => position), points.map(([, value]) => value)], isTime };
}
