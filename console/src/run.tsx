// One run: its state, what it waits for, how far it is, how it was stopped, and its rows.
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, type Column, type Run, api, follow, url } from "./api.ts";
import { Chart } from "./chart.tsx";
import { between, bytes, duration, number, plain, preciseTime, time } from "./format.ts";
import { Grid, RowsFailure, useRows } from "./grid.tsx";
import { href } from "./router.ts";
import { Summary } from "./summary.tsx";
import { Copy, Failure, State, messageOf, shownState } from "./ui.tsx";

const isOver = (run: Run) => run.state === "complete" || run.state === "failed" || run.state === "canceled";

const pause = (ms: number, signal: AbortSignal) =>
  new Promise<void>((done) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), done()));
  });

/** A run as it is now: followed by its events, and read anew when the stream breaks. */
export function useRun(id: string, first?: Run) {
  const [run, setRun] = useState<Run | undefined>(first);
  const [error, setError] = useState<string>();
  useEffect(() => {
    const stop = new AbortController();
    const read = async () => {
      const found = await api.run(id, stop.signal);
      if (!stop.signal.aborted) {
        setRun(found);
        setError(undefined);
      }
      return found;
    };
    const watch = async () => {
      for (let failures = 0; !stop.signal.aborted; ) {
        try {
          if (isOver(await read())) return;
          await follow(
            id,
            (kind, data) => {
              if (kind === "progress") setRun((before) => before && { ...before, progress: data as Run["progress"] });
              else void read().catch(() => {});
            },
            stop.signal,
          );
          failures = 0;
        } catch (failure) {
          if (stop.signal.aborted) return;
          failures += 1;
          setError(messageOf(failure));
          if (failure instanceof ApiError && failure.status >= 400 && failure.status < 500 && failure.status !== 429) return;
        }
        await pause(Math.min(5000, 250 * 2 ** failures), stop.signal);
      }
    };
    void watch();
    return () => stop.abort();
  }, [id]);
  return { run, error, setRun };
}

/** Re-renders while something runs, so that the time on the screen goes on. */
function useClock(isRunning: boolean): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!isRunning) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 100);
    return () => clearInterval(timer);
  }, [isRunning]);
  return now;
}

const WAITS: Record<string, string> = {
  source: "its source is not available at the moment",
  slot: "all slots are in use; it is next",
  turn: "runs of its entity are before it",
  retry: "the pause before another attempt",
};

interface Props {
  id: string;
  first?: Run;
  types?: Column[] | null;
  onRunAgain?: (run: Run, contentType?: string) => void;
  formats: string[];
  mayCancel: boolean;
}

export function RunView({ id, first, types, onRunAgain, formats, mayCancel }: Props) {
  const { run, error, setRun } = useRun(id, first);
  const [stopError, setStopError] = useState<string>();
  const [clicked, setClicked] = useState<number>();
  const [seenAfter, setSeenAfter] = useState<number>();
  const over = run ? isOver(run) : false;
  const now = useClock(run !== undefined && !over);
  const button = useRef<HTMLButtonElement>(null);

  const stop = async () => {
    const start = performance.now();
    setClicked(start);
    setStopError(undefined);
    try {
      setRun(await api.cancel(id));
    } catch (failure) {
      setStopError(messageOf(failure));
    }
  };
  useEffect(() => {
    if (clicked !== undefined && run?.state === "canceled" && seenAfter === undefined) {
      requestAnimationFrame(() => setSeenAfter(performance.now() - clicked));
    }
  }, [run?.state, clicked]);

  if (!run) return error ? <Failure title="The run cannot be shown">{error}</Failure> : <p class="muted">Reading the run …</p>;
  const shown = shownState(run);
  const elapsed = run.created_time ? (over ? between(run.created_time, run.updated_time) : now - Date.parse(run.created_time)) : null;
  return (
    <section class="run" aria-label="Run">
      <div class="bar run-head">
        <span aria-live="polite">
          <State of={run} />
        </span>
        <span class="muted">{facts(run, elapsed)}</span>
        <span class="grow" />
        {mayCancel && !over && (
          <button ref={button} type="button" class="stop" onClick={stop} disabled={shown === "stopping" || (clicked !== undefined && !stopError)}>
            {shown === "stopping" || (clicked !== undefined && !stopError) ? "Stopping …" : "Stop"}
          </button>
        )}
        {onRunAgain && over && (
          <button type="button" onClick={() => onRunAgain(run)}>
            Run again
          </button>
        )}
        <a class="button quiet" href={href(`runs/${run.id}`)}>
          Address of this run
        </a>
      </div>
      {shown === "running" && <Progress run={run} />}
      {error && !over && <p class="muted">The connection broke; trying again. {error}</p>}
      {stopError && <Failure title="It was not stopped">{stopError}</Failure>}
      {run.error && <RunFailure run={run} />}
      {run.cancellation && <Timeline run={run} seenAfter={seenAfter} />}
      {run.state === "complete" && run.file && (
        <Result run={run} types={types ?? null} formats={formats} onRunAgain={onRunAgain} />
      )}
      <Programs run={run} />
    </section>
  );
}

function facts(run: Run, elapsed: number | null): string {
  const parts: string[] = [];
  if (elapsed !== null) parts.push(duration(elapsed));
  if (run.state === "accepted") {
    const ahead = run.queue_position ?? 0;
    parts.push(ahead === 0 ? "first in the queue" : `${number(ahead)} before it in the queue`);
    if (run.waiting_for) parts.push(WAITS[run.waiting_for] ?? run.waiting_for);
  }
  if (run.state === "in_progress" && run.progress?.stage) parts.push(run.progress.stage);
  if (run.state === "complete" && run.number_of_rows !== undefined) parts.push(`${number(run.number_of_rows)} rows`);
  if (run.state === "complete" && run.file?.size !== undefined) parts.push(bytes(run.file.size));
  if (run.attempts && run.attempts.length > 1) parts.push(`attempt ${run.attempts.length}`);
  return parts.join(" · ");
}

function Progress({ run }: { run: Run }) {
  const progress = run.progress;
  const percent = progress?.percent ?? null;
  const parts = [
    percent !== null && `${number(Math.round(percent))} %`,
    progress?.rows != null && `${number(progress.rows)} rows`,
    progress?.size_bytes != null && bytes(progress.size_bytes),
  ].filter(Boolean);
  return (
    <div class="progress">
      <progress aria-label="Progress" max={100} value={percent ?? undefined} />
      <span class="muted">{parts.join(" · ")}</span>
    </div>
  );
}

function RunFailure({ run }: { run: Run }) {
  const error = run.error;
  if (!error) return null;
  const place = error.line ? `Line ${error.line}, column ${error.column}: ` : "";
  return (
    <Failure title={error.code.replaceAll("_", " ")}>
      {place}
      <bdi>{plain(error.message).replaceAll("⏎", "\n")}</bdi>
      {error.retryable && " Another attempt may help: run it again."}
    </Failure>
  );
}

const STEPS: Record<string, string> = {
  interrupt_sent: "Interrupt sent",
  kill_sent: "Worker process killed",
  reaped: "Reaped: its memory and spill are back",
  engine_confirmed: "The remote engine shows it no more",
  file_removed: "Unfinished file removed",
};

const ENDS: Record<string, string> = {
  never_started: "Proven stopped: no statement had been sent to a worker",
  interrupted: "Proven stopped: the engine obeyed the interrupt. Its slot is back",
  killed: "Proven stopped: the process is gone. Its slot is back",
  remote_confirmed: "Proven stopped, here and in the remote engine. Its slot is back",
};

interface Step {
  label: string;
  at: string;
  done: boolean;
}

/** The record of a stop, with the milliseconds since it was asked for. */
function Timeline({ run, seenAfter }: { run: Run; seenAfter?: number }) {
  const record = run.cancellation;
  if (!record) return null;
  const done = record.canceled_time ? between(record.requested_time, record.canceled_time) : null;
  const by = record.canceled_by ? ` by ${record.canceled_by === run.created_by_id ? "its submitter" : record.canceled_by}` : "";
  const stage = record.stage ? `, while ${record.stage}` : "";
  const steps: Step[] = [
    { label: `Asked (${record.reason})${by}${stage}`, at: preciseTime(record.requested_time), done: true },
    ...(record.steps ?? []).map((one) => ({
      label: STEPS[one.step] ?? one.step,
      at: `+ ${duration(one.after_ms)}`,
      done: true,
    })),
    {
      label: record.engine_stop ? (ENDS[record.engine_stop] ?? record.engine_stop) : "Stopping",
      at: done !== null ? `+ ${duration(done)}` : "…",
      done: record.engine_stop !== undefined,
    },
  ];
  if (seenAfter !== undefined) {
    steps.push({ label: "On this screen, since the click", at: `+ ${duration(seenAfter)}`, done: true });
  }
  return (
    <section aria-label="How it was stopped">
      <ol class="timeline">
        {steps.map((step) => (
          <li class={step.done ? "done" : "open"}>
            <span>{step.label}</span>
            <span class="at">{step.at}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}

type Tab = "rows" | "summary" | "chart";

function Result({ run, types, formats, onRunAgain }: { run: Run; types: Column[] | null; formats: string[]; onRunAgain?: Props["onRunAgain"] }) {
  const { loaded, error, load } = useRows(run.id, run.number_of_rows ?? 0);
  const [tab, setTab] = useState<Tab>("rows");
  const tabs: [Tab, string][] = [
    ["rows", "Rows"],
    ["summary", "Columns"],
    ["chart", "Chart"],
  ];
  const known = types && types.length === loaded.columns.length ? types : null;
  return (
    <section aria-label="Result">
      <div class="bar">
        <div class="tabs" role="group" aria-label="View">
          {tabs.map(([name, label]) => (
            <button type="button" aria-pressed={tab === name} onClick={() => setTab(name)}>
              {label}
            </button>
          ))}
        </div>
        <span class="grow" />
        <a class="button primary" href={run.file?.url} download>
          Download {run.content_type}
          {run.content_encoding && run.content_encoding !== "none" ? ` (${run.content_encoding})` : ""}
        </a>
        {onRunAgain && (
          <label class="inline">
            <span class="unseen">Run again as another format</span>
            <select
              value=""
              onChange={(event) => {
                if (event.currentTarget.value) onRunAgain(run, event.currentTarget.value);
                event.currentTarget.value = "";
              }}
            >
              <option value="">Other format …</option>
              {formats
                .filter((one) => one !== run.content_type)
                .map((one) => (
                  <option value={one}>{one} (runs again)</option>
                ))}
            </select>
          </label>
        )}
      </div>
      {error && <RowsFailure message={error} />}
      {!error && loaded.pages.size === 0 && <p class="muted">Reading rows …</p>}
      {!error && loaded.pages.size > 0 && loaded.total === 0 && <p class="nothing">The statement has no rows: its {loaded.columns.length} columns are empty.</p>}
      {loaded.pages.size > 0 && loaded.total > 0 && tab === "rows" && <Grid loaded={loaded} load={load} types={known} />}
      {loaded.pages.size > 0 && tab === "summary" && <Summary loaded={loaded} types={known} />}
      {loaded.pages.size > 0 && tab === "chart" && <Chart loaded={loaded} />}
    </section>
  );
}

const shell = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** The same run for programs. The secret stays out: it comes from the environment. */
function Programs({ run }: { run: Run }) {
  const body: Record<string, unknown> = { sql: run.sql, content_type: run.content_type };
  if (run.source) body.source = run.source;
  if (run.column_separator) body.column_separator = run.column_separator;
  const curl = [
    `TOKEN=$(curl -sS ${shell(url("oauth/token"))} -d grant_type=client_credentials \\`,
    `  -d client_id="$QUERYRUN_CLIENT_ID" -d client_secret="$QUERYRUN_CLIENT_SECRET" | jq -r .access_token)`,
    `curl -sS ${shell(url("v2/query_runs"))} -H "Authorization: Bearer $TOKEN" \\`,
    `  -H 'Content-Type: application/json' -d ${shell(JSON.stringify(body))}`,
  ].join("\n");
  const python = [
    "import queryrun_client",
    "",
    `with queryrun_client.Client(${JSON.stringify(url("").replace(/\/$/, ""))}) as client:  # id and secret: the environment`,
    `    for row in client.rows(${JSON.stringify(run.sql)}):`,
    "        print(row)",
  ].join("\n");
  const link = href(`runs/${run.id}`);
  return (
    <details>
      <summary>Details, and the same for programs</summary>
      <dl class="facts">
        <dt>Run</dt>
        <dd>
          <code>{run.id}</code>
        </dd>
        <dt>Created</dt>
        <dd>{run.created_time && time(run.created_time)}</dd>
        <dt>Source</dt>
        <dd>{run.source}</dd>
        <dt>File</dt>
        <dd>
          {run.content_type} {run.file?.sha256 && <code class="long">sha256 {run.file.sha256}</code>}
        </dd>
        {run.tags && Object.keys(run.tags).length > 0 && (
          <>
            <dt>Tags</dt>
            <dd>
              {Object.entries(run.tags).map(([name, value]) => (
                <code>
                  {plain(name)}={plain(value)}{" "}
                </code>
              ))}
            </dd>
          </>
        )}
      </dl>
      <div class="bar">
        <Copy text={() => link} label="Copy link" />
        <Copy text={() => curl} label="Copy as curl" />
        <Copy text={() => python} label="Copy as Python" />
        <Copy text={() => run.sql} label="Copy SQL" />
      </div>
    </details>
  );
}
