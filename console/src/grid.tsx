// A grid of rows that draws only what is seen, and loads only what is drawn.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Cell, type Column, api } from "./api.ts";
import { number, plain } from "./format.ts";
import { Copy, Dialog, Failure, messageOf } from "./ui.tsx";

const ROW = 28; // pixels, as in style.css
const PAGE = 500; // rows of one request
const SPARE = 8; // rows drawn above and below what is seen
const MAX_CHARS = 160; // of a cell; the rest is in the dialog
const MAX_HEIGHT = 15_000_000; // pixels; browsers stop near 17,000,000

export type Kind = "number" | "boolean" | "time" | "nested" | "text";

export function kindOf(values: Cell[]): Kind {
  const known = values.filter((value) => value !== null);
  const all = (test: (value: Cell) => boolean) => known.length > 0 && known.every(test);
  if (all((one) => typeof one === "number" || (typeof one === "string" && /^-?\d+(\.\d+)?(e[-+]?\d+)?$/i.test(one)))) {
    return "number";
  }
  if (all((one) => typeof one === "boolean" || one === "true" || one === "false")) return "boolean";
  if (all((one) => typeof one === "string" && /^\d{4}-\d\d-\d\d([ T]\d\d:\d\d|$)/.test(one))) return "time";
  return all((one) => typeof one === "object") ? "nested" : "text";
}

export const textOf = (value: Cell): string => {
  if (value === null || value === undefined) return "NULL";
  return typeof value === "string" ? value : JSON.stringify(value);
};

function asSql(value: Cell, kind: Kind): string {
  if (value === null || value === undefined) return "NULL";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const text = textOf(value);
  if (kind === "number" || kind === "boolean") return text;
  return `'${text.replaceAll("'", "''")}'`;
}

const asTsv = (value: Cell): string => (value === null ? "" : textOf(value).replace(/[\t\r\n]/g, " "));

export interface Loaded {
  columns: string[];
  total: number;
  pages: Map<number, Cell[][]>;
  reach: number;
}

/** The rows of a run, page by page. */
export function useRows(runId: string, total: number) {
  const [loaded, setLoaded] = useState<Loaded>({ columns: [], total, pages: new Map(), reach: total });
  const [error, setError] = useState<string>();
  const wanted = useRef(new Set<number>());
  const load = (page: number) => {
    if (wanted.current.has(page)) return;
    wanted.current.add(page);
    api.rows(runId, page * PAGE, PAGE).then(
      (rows) =>
        setLoaded((before) => {
          const pages = new Map(before.pages).set(page, rows.rows);
          const isShort = rows.rows.length < PAGE && rows.more;
          const reach = isShort ? Math.min(before.reach, page * PAGE + rows.rows.length) : before.reach;
          return { columns: before.columns.length ? before.columns : rows.columns, total: rows.number_of_rows, pages, reach };
        }),
      (failure) => {
        if (page === 0) setError(messageOf(failure));
        else setLoaded((before) => ({ ...before, reach: Math.min(before.reach, page * PAGE) }));
      },
    );
  };
  useEffect(() => load(0), [runId]);
  return { loaded, error, load };
}

interface At {
  row: number;
  column: number;
}

export function Grid({ loaded, load, types }: { loaded: Loaded; load: (page: number) => void; types: Column[] | null }) {
  const frame = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(400);
  const [at, setAt] = useState<At>({ row: 0, column: 0 });
  const [from, setFrom] = useState<At>({ row: 0, column: 0 });
  const [open, setOpen] = useState<At>();
  const rows = Math.min(loaded.reach, Math.floor(MAX_HEIGHT / ROW));
  const first = Math.max(0, Math.floor(top / ROW) - SPARE);
  const last = Math.min(rows, Math.ceil((top + height) / ROW) + SPARE);
  const rowAt = (row: number): Cell[] | undefined => loaded.pages.get(Math.floor(row / PAGE))?.[row % PAGE];
  const sample = loaded.pages.get(0) ?? [];
  const kinds = useMemo(
    () => loaded.columns.map((_name, column) => kindOf(sample.slice(0, 200).map((row) => row[column]))),
    [loaded.columns, sample],
  );

  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    const watch = new ResizeObserver(() => setHeight(element.clientHeight));
    watch.observe(element);
    return () => watch.disconnect();
  }, []);
  useEffect(() => {
    for (let page = Math.floor(first / PAGE); page * PAGE < last; page += 1) load(page);
  }, [first, last]);

  const select = (next: At, extend: boolean) => {
    const clean = {
      row: Math.max(0, Math.min(rows - 1, next.row)),
      column: Math.max(0, Math.min(loaded.columns.length - 1, next.column)),
    };
    setAt(clean);
    if (!extend) setFrom(clean);
    const element = frame.current;
    if (!element) return;
    const y = clean.row * ROW;
    if (y < element.scrollTop) element.scrollTop = y;
    if (y + 2 * ROW > element.scrollTop + element.clientHeight - ROW) {
      element.scrollTop = y + 3 * ROW - element.clientHeight;
    }
    const cell = element.querySelector(`[data-column="${clean.column}"]`);
    cell?.scrollIntoView({ block: "nearest", inline: "nearest" });
  };

  const area = {
    top: Math.min(at.row, from.row),
    bottom: Math.max(at.row, from.row),
    left: Math.min(at.column, from.column),
    right: Math.max(at.column, from.column),
  };
  const selected = (): Cell[][] => {
    const found: Cell[][] = [];
    for (let row = area.top; row <= area.bottom; row += 1) {
      found.push((rowAt(row) ?? []).slice(area.left, area.right + 1));
    }
    return found;
  };
  const tsv = () => selected().map((row) => row.map(asTsv).join("\t")).join("\n");
  const sqlText = () => {
    const names = loaded.columns.slice(area.left, area.right + 1);
    const lines = selected().map((row) => `(${row.map((value, n) => asSql(value, kinds[area.left + n] ?? "text")).join(", ")})`);
    return `SELECT * FROM (VALUES\n  ${lines.join(",\n  ")}\n) AS t (${names.map((one) => `"${one.replaceAll('"', '""')}"`).join(", ")})`;
  };

  const onKey = (event: KeyboardEvent) => {
    const page = Math.max(1, Math.floor(height / ROW) - 2);
    const moves: Record<string, At> = {
      ArrowDown: { row: at.row + 1, column: at.column },
      ArrowUp: { row: at.row - 1, column: at.column },
      ArrowRight: { row: at.row, column: at.column + 1 },
      ArrowLeft: { row: at.row, column: at.column - 1 },
      PageDown: { row: at.row + page, column: at.column },
      PageUp: { row: at.row - page, column: at.column },
      Home: event.ctrlKey ? { row: 0, column: 0 } : { row: at.row, column: 0 },
      End: event.ctrlKey ? { row: rows - 1, column: at.column } : { row: at.row, column: loaded.columns.length - 1 },
    };
    const move = moves[event.key];
    if (move) select(move, event.shiftKey);
    else if (event.key === "Enter" || event.key === " ") setOpen(at);
    else if ((event.ctrlKey || event.metaKey) && event.key === "c") void navigator.clipboard?.writeText(tsv()).catch(() => {});
    else if ((event.ctrlKey || event.metaKey) && event.key === "a") {
      setFrom({ row: 0, column: 0 });
      setAt({ row: Math.min(rows, loaded.pages.size * PAGE) - 1, column: loaded.columns.length - 1 });
    } else return;
    event.preventDefault();
  };

  const drawn: number[] = [];
  for (let row = first; row < last; row += 1) drawn.push(row);
  const widths = useMemo(() => columnWidths(loaded.columns, sample, types), [loaded.columns, sample, types]);
  const template = `4.5rem ${widths.map((width) => `${width}ch`).join(" ")}`;

  return (
    <>
      <div
        class="grid"
        ref={frame}
        role="grid"
        aria-label="Rows"
        aria-rowcount={rows + 1}
        aria-colcount={loaded.columns.length}
        aria-multiselectable="true"
        aria-activedescendant={rowAt(at.row) ? `cell-${at.row}-${at.column}` : undefined}
        tabIndex={0}
        onScroll={(event) => setTop(event.currentTarget.scrollTop)}
        onKeyDown={onKey}
      >
        <div class="grid-head" role="row" aria-rowindex={1} style={{ gridTemplateColumns: template }}>
          <span class="row-number" aria-hidden="true" />
          {loaded.columns.map((name, column) => (
            <span role="columnheader" aria-colindex={column + 1} data-column={column} class={kinds[column]} title={plain(name)}>
              <bdi>{plain(name)}</bdi> <small>{types?.[column]?.type ?? kinds[column]}</small>
            </span>
          ))}
        </div>
        <div class="grid-body" role="rowgroup" style={{ height: `${rows * ROW}px` }}>
          {drawn.map((row) => (
            <div
              key={row}
              class="grid-row"
              role="row"
              aria-rowindex={row + 2}
              style={{ gridTemplateColumns: template, transform: `translateY(${row * ROW}px)` }}
            >
              <span class="row-number" aria-hidden="true">
                {number(row + 1)}
              </span>
              {loaded.columns.map((_name, column) => (
                <GridCell
                  value={rowAt(row)?.[column]}
                  isLoaded={rowAt(row) !== undefined}
                  kind={kinds[column] ?? "text"}
                  row={row}
                  column={column}
                  isSelected={row >= area.top && row <= area.bottom && column >= area.left && column <= area.right}
                  onSelect={(extend) => select({ row, column }, extend)}
                  onOpen={() => setOpen({ row, column })}
                />
              ))}
            </div>
          ))}
        </div>
      </div>
      <div class="bar">
        <span class="muted">
          {loaded.reach < loaded.total
            ? `The preview ends after ${number(rows)} of ${number(loaded.total)} rows; the file has them all.`
            : `${number(loaded.total)} ${loaded.total === 1 ? "row" : "rows"}, ${number(loaded.columns.length)} ${loaded.columns.length === 1 ? "column" : "columns"}`}
        </span>
        <span class="grow" />
        <Copy text={tsv} label="Copy as TSV" />
        <Copy text={sqlText} label="Copy as SQL" />
        <button type="button" class="quiet" onClick={() => setOpen(at)}>
          Open cell
        </button>
      </div>
      {open && (
        <CellDialog name={loaded.columns[open.column] ?? ""} value={rowAt(open.row)?.[open.column]} row={open.row} onClose={() => setOpen(undefined)} />
      )}
    </>
  );
}

function columnWidths(columns: string[], sample: Cell[][], types: Column[] | null): number[] {
  return columns.map((name, column) => {
    const head = name.length + (types?.[column]?.type ?? "boolean").length + 3;
    const longest = sample.slice(0, 100).reduce((most, row) => Math.max(most, Math.min(60, textOf(row[column]).length)), 0);
    return Math.max(8, Math.min(48, Math.max(head, longest + 3)));
  });
}

interface CellProps {
  value: Cell;
  isLoaded: boolean;
  kind: Kind;
  row: number;
  column: number;
  isSelected: boolean;
  onSelect: (extend: boolean) => void;
  onOpen: () => void;
}

function GridCell(props: CellProps) {
  const { value } = props;
  const isNull = value === null;
  const text = props.isLoaded ? textOf(value) : "";
  const classes = [props.kind, isNull && "null", value === "" && "empty", props.isSelected && "selected"];
  return (
    <span
      id={`cell-${props.row}-${props.column}`}
      role="gridcell"
      aria-colindex={props.column + 1}
      aria-selected={props.isSelected}
      class={classes.filter(Boolean).join(" ")}
      onMouseDown={(event) => props.onSelect(event.shiftKey)}
      onDblClick={props.onOpen}
    >
      {value === "" ? <i>empty</i> : <bdi>{plain(text.length > MAX_CHARS ? `${text.slice(0, MAX_CHARS)}…` : text)}</bdi>}
    </span>
  );
}

const MAX_SHOWN = 200_000; // characters in the dialog; the file has the rest

function CellDialog({ name, value, row, onClose }: { name: string; value: Cell; row: number; onClose: () => void }) {
  const whole = unpacked(value);
  const shown = whole.slice(0, MAX_SHOWN);
  return (
    <Dialog title={`${plain(name)}, row ${number(row + 1)}`} onClose={onClose}>
      <p class="muted">
        {value === null ? "NULL: no value" : `${number(whole.length)} characters`}
        {whole.length > MAX_SHOWN && `, of which ${number(MAX_SHOWN)} are shown`}
      </p>
      <pre class="value" tabIndex={0}>
        <bdi>{shown.split("\n").map(plain).join("\n")}</bdi>
      </pre>
      <div class="bar">
        <Copy text={() => textOf(value)} label="Copy value" />
      </div>
    </Dialog>
  );
}

/** Nested values over several lines; text that is JSON too. */
function unpacked(value: Cell): string {
  if (typeof value === "object" && value !== null) return JSON.stringify(value, null, 2);
  const text = textOf(value);
  if (/^\s*[[{]/.test(text) && text.length < 1_000_000) {
    try {
      return JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      return text;
    }
  }
  return text;
}

export function RowsFailure({ message }: { message: string }) {
  return <Failure title="The rows cannot be shown">{message}</Failure>;
}
