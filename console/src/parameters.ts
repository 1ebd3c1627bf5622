// Parameters of a statement. `:name` is the service's own: its value is bound there, as a value of its
// type. {{name}} is a text, {{name:number}} and {{name:date}} what they say; these become literals
// here, never SQL, and work on sources with a dialect of their own too.
const PLACE = /\{\{\s*([A-Za-z_]\w*)\s*(?::\s*(text|number|date|timestamp)\s*)?\}\}/g;

export interface Parameter {
  name: string;
  kind: string;
}

export function parametersOf(sql: string): Parameter[] {
  const found = new Map<string, Parameter>();
  for (const [, name = "", kind] of sql.matchAll(PLACE)) {
    if (!found.has(name) || kind) found.set(name, { name, kind: kind ?? found.get(name)?.kind ?? "text" });
  }
  return [...found.values()];
}

/** The statement with its values. Throws, with words for the person, for a value that is none. */
export function filledIn(sql: string, values: Record<string, string>): string {
  const kinds = new Map(parametersOf(sql).map((one) => [one.name, one.kind]));
  return sql.replace(PLACE, (_place, name: string) => literal(name, kinds.get(name) ?? "text", values[name] ?? ""));
}

function literal(name: string, kind: string, value: string): string {
  const quoted = `'${value.replaceAll("'", "''")}'`;
  if (kind === "text") return quoted;
  const text = value.trim();
  if (kind === "number") {
    if (!/^[-+]?\d+(\.\d+)?([eE][-+]?\d+)?$/.test(text)) throw new Error(`“${name}” must be a number.`);
    return text;
  }
  if (kind === "date") {
    if (!/^\d{4}-\d\d-\d\d$/.test(text)) throw new Error(`“${name}” must be a date such as 2026-01-31.`);
    return `DATE '${text}'`;
  }
  if (!/^\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?$/.test(text)) {
    throw new Error(`“${name}” must be a time such as 2026-01-31 12:00:00.`);
  }
  return `TIMESTAMP '${text.replace("T", " ")}'`;
}

/** What a value of `:name` may be; the first is what its form says, as `queryrun run -p` reads it. */
export const KINDS = ["as it looks", "varchar", "bigint", "double", "boolean", "date", "timestamp", "time", "null"];

export interface Bound {
  name: string;
  type?: string;
  value?: string;
}

const NO_MARKERS = /'(?:[^']|'')*'?|"(?:[^"]|"")*"?|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/g;

/** The names of `:name` outside of texts, quoted names and comments, each once. */
export function boundNames(sql: string): string[] {
  const plain = sql.replace(NO_MARKERS, " ");
  return [...new Set([...plain.matchAll(/(?<![:\w]):([A-Za-z_]\w*)/g)].map(([, name = ""]) => name))];
}

/** The property `parameters` of a request: the values of the names that the statement has. */
export function bound(sql: string, values: Record<string, string>, kinds: Record<string, string>): Bound[] {
  return boundNames(sql).map((name) => {
    const kind = kinds[name] ?? KINDS[0];
    const value = values[name] ?? "";
    if (kind === "null") return { name };
    return { name, ...(kind === KINDS[0] ? asItLooks(value) : { type: kind, value: kind === "varchar" ? value : value.trim() }) };
  });
}

function asItLooks(value: string): { type?: string; value?: string } {
  if (value === "null") return {};
  if (value === "true" || value === "false") return { type: "boolean", value };
  if (/^-?(0|[1-9]\d{0,17})$/.test(value)) return { type: "bigint", value };
  const decimal = /^-?(0|[1-9]\d*)\.(\d+)$/.exec(value);
  if (decimal) {
    const scale = decimal[2]?.length ?? 0;
    return { type: `decimal(${(decimal[1]?.length ?? 0) + scale}, ${scale})`, value };
  }
  return { type: "varchar", value };
}
