// Parameters of a statement: {{name}} is a text, {{name:number}} and {{name:date}} what they say.
// Values become literals, never SQL.
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
