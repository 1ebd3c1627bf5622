// A plain table that scrolls inside the page, never the page itself.
import type { ComponentChildren } from "preact";

type Value = ComponentChildren;

interface Props {
  label: string;
  heads: string[];
  rows: Value[][];
  /** Columns of numbers, which are aligned right. */
  numbers?: number[];
}

export function Table({ label, heads, rows, numbers = [] }: Props) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={label}>
      <table>
        <thead>
          <tr>
            {heads.map((head, column) => (
              <th scope="col" class={numbers.includes(column) ? "number" : undefined}>
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr>
              {row.map((value, column) => (
                <td class={numbers.includes(column) ? "number" : undefined}>{value}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
