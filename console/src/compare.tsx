// Two runs side by side: their statements, figures and first rows.
import { type Run, api } from "./api.ts";
import { between, bytes, duration, number, plain, time } from "./format.ts";
import { textOf } from "./grid.tsx";
import { href } from "./router.ts";
import { Failure, State, useLoaded, useTitle } from "./ui.tsx";

const MAX_ROWS = 1000;

async function read(id: string) {
  const run = await api.run(id);
  const rows = run.state === "complete" ? await api.rows(id, 0, MAX_ROWS).catch(() => null) : null;
  return { run, rows };
}

type Side = Awaited<ReturnType<typeof read>>;

export function ComparePage({ a, b }: { a: string; b: string }) {
  useTitle("Compare");
  const { value, error } = useLoaded(() => Promise.all([read(a), read(b)]), [a, b]);
  return (
    <main id="main" class="page">
      <h1>Compare two runs</h1>
      {error && <Failure title="The runs cannot be compared">{error}</Failure>}
      {!value && !error && <p class="muted">Reading both runs …</p>}
      {value && <Both one={value[0]} other={value[1]} />}
    </main>
  );
}

function Both({ one, other }: { one: Side; other: Side }) {
  const sides = [one.run, other.run];
  const line = (label: string, show: (run: Run) => string | undefined) => {
    const [left, right] = sides.map((run) => show(run) ?? "");
    return (
      <tr class={left === right ? "" : "differs"}>
        <th scope="row">{label}</th>
        <td>{left}</td>
        <td>{right}</td>
      </tr>
    );
  };
  return (
    <>
      <div class="scroll" tabIndex={0} role="region" aria-label="Figures">
        <table>
          <thead>
            <tr>
              <th scope="col">
                <span class="unseen">Figure</span>
              </th>
              {sides.map((run) => (
                <th scope="col">
                  <a href={href(`runs/${run.id}`)}>{run.id.slice(0, 8)}</a> <State of={run} />
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {line("Created", (run) => run.created_time && time(run.created_time))}
            {line("Took", (run) => run.created_time && duration(between(run.created_time, run.updated_time)))}
            {line("Source", (run) => run.source)}
            {line("Format", (run) => run.content_type)}
            {line("Rows", (run) => (run.number_of_rows === undefined ? undefined : number(run.number_of_rows)))}
            {line("Size", (run) => (run.file?.size === undefined ? undefined : bytes(run.file.size)))}
            {line("SHA-256", (run) => run.file?.sha256)}
            {line("Error", (run) => run.error && plain(run.error.message))}
            {line("Statement", (run) => plain(run.sql).replaceAll("⏎", "\n"))}
          </tbody>
        </table>
      </div>
      <Differences one={one} other={other} />
    </>
  );
}

function Differences({ one, other }: { one: Side; other: Side }) {
  const files = [one.run.file?.sha256, other.run.file?.sha256];
  if (files[0] && files[0] === files[1]) return <p>The files are the same, byte for byte.</p>;
  if (!one.rows || !other.rows) return <p class="muted">Rows are compared when both runs are complete and can be previewed.</p>;
  const asLines = (side: Side) => (side.rows?.rows ?? []).map((row) => row.map(textOf).join("\u001f"));
  const left = asLines(one);
  const right = asLines(other);
  const only = (these: string[], those: string[]) => {
    const counts = new Map<string, number>();
    for (const line of those) counts.set(line, (counts.get(line) ?? 0) + 1);
    return these.filter((line) => {
      const left = counts.get(line) ?? 0;
      counts.set(line, left - 1);
      return left <= 0;
    });
  };
  const shown = (lines: string[]) => lines.slice(0, 50).map((line) => plain(line.replaceAll("\u001f", " | ")).slice(0, 400));
  const onlyLeft = only(left, right);
  const onlyRight = only(right, left);
  return (
    <section aria-label="Rows">
      <p>
        Of the first {number(Math.max(left.length, right.length))} rows, {number(onlyLeft.length)} are in the first run alone and{" "}
        {number(onlyRight.length)} in the second alone. The order of rows is not compared.
      </p>
      <div class="columns-2">
        {[onlyLeft, onlyRight].map((lines, side) => (
          <div>
            <h2>Only in the {side === 0 ? "first" : "second"}</h2>
            <pre class="value" tabIndex={0}>
              {shown(lines).join("\n") || "none"}
            </pre>
          </div>
        ))}
      </div>
    </section>
  );
}
