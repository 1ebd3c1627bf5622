// What is in each column, of the rows that are loaded: said so, because a file may have more.
import type { Cell, Column } from "./api.ts";
import { number, plain } from "./format.ts";
import { type Loaded, kindOf, textOf } from "./grid.tsx";

const BINS = 12;

interface Facts {
  nulls: number;
  distinct: number;
  least: string;
  most: string;
  bins: number[];
}

export function factsOf(values: Cell[], isNumeric: boolean): Facts {
  const known = values.filter((value) => value !== null && value !== undefined);
  const seen = new Set(known.map(textOf));
  if (!isNumeric) {
    const sorted = [...seen].sort();
    return { nulls: values.length - known.length, distinct: seen.size, least: sorted[0] ?? "", most: sorted.at(-1) ?? "", bins: [] };
  }
  const numbers = known.map(Number);
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;
  for (const one of numbers) {
    least = Math.min(least, one);
    most = Math.max(most, one);
  }
  const bins = new Array<number>(BINS).fill(0);
  for (const one of numbers) {
    const bin = most > least ? Math.min(BINS - 1, Math.floor(((one - least) / (most - least)) * BINS)) : 0;
    bins[bin] = (bins[bin] ?? 0) + 1;
  }
  const none = numbers.length === 0;
  return { nulls: values.length - known.length, distinct: seen.size, least: none ? "" : String(least), most: none ? "" : String(most), bins };
}

export function allRows(loaded: Loaded): Cell[][] {
  return [...loaded.pages.entries()].sort(([one], [other]) => one - other).flatMap(([, rows]) => rows);
}

export function Summary({ loaded, types }: { loaded: Loaded; types: Column[] | null }) {
  const rows = allRows(loaded);
  const isAll = rows.length === loaded.total;
  const short = (text: string) => plain(text.length > 60 ? `${text.slice(0, 60)}…` : text);
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Columns">
      <table>
        <caption class="muted">
          {isAll ? `Of all ${number(rows.length)} rows.` : `Of ${number(rows.length)} rows that are loaded; the file has ${number(loaded.total)}.`}
        </caption>
        <thead>
          <tr>
            <th scope="col">Column</th>
            <th scope="col">Type</th>
            <th scope="col">NULLs</th>
            <th scope="col">Distinct</th>
            <th scope="col">Least</th>
            <th scope="col">Greatest</th>
            <th scope="col">Spread</th>
          </tr>
        </thead>
        <tbody>
          {loaded.columns.map((name, column) => {
            const values = rows.map((row) => row[column] ?? null);
            const kind = kindOf(values);
            const facts = factsOf(values, kind === "number");
            return (
              <tr>
                <th scope="row">
                  <bdi>{plain(name)}</bdi>
                </th>
                <td>{types?.[column]?.type ?? kind}</td>
                <td class="number">{number(facts.nulls)}</td>
                <td class="number">{number(facts.distinct)}</td>
                <td>
                  <bdi>{short(facts.least)}</bdi>
                </td>
                <td>
                  <bdi>{short(facts.most)}</bdi>
                </td>
                <td>{facts.bins.length > 0 && <Bars values={facts.bins} />}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Bars({ values }: { values: number[] }) {
  const most = Math.max(...values, 1);
  return (
    <svg class="bars" viewBox={`0 0 ${values.length * 8} 24`} role="img" aria-label={`Histogram: ${values.join(", ")}`}>
      {values.map((value, index) => (
        <rect x={index * 8} y={24 - (value / most) * 24} width={7} height={(value / most) * 24} />
      ))}
    </svg>
  );
}
