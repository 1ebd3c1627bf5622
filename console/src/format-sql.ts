// A plain formatter: clauses on lines of their own, keywords in capitals, nothing else touched.
const CLAUSES =
  /^(select|from|where|group by|having|order by|limit|offset|fetch|union all|union|intersect|except|with|window|(?:(?:left|right|full|inner|cross)(?: outer)? )?join)$/i;
const TOKEN =
  /('(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|\{\{[^}]*\}\}|(?:group|order)\s+by\b|union\s+all\b|(?:left|right|full|inner|cross)(?:\s+outer)?\s+join\b|[A-Za-z_]\w*|\s+|[\s\S])/gi;
const KEYWORD =
  /^(as|on|and|or|not|in|is|null|between|like|case|when|then|else|end|distinct|by|asc|desc|nulls|first|last|over|partition|using|exists|true|false|all|recursive|lateral|unnest|values|cast|filter|within|interval|date|timestamp)$/i;

/** The statement with the same tokens in the same order; only white space and case of keywords change. */
export function formatSql(text: string): string {
  let depth = 0;
  let out = "";
  const newLine = () => {
    out = `${out.trimEnd()}\n${"  ".repeat(depth)}`;
  };
  for (const token of text.match(TOKEN) ?? []) {
    const word = token.replace(/\s+/g, " ");
    if (/^\s+$/.test(token)) {
      if (!/[\s(]$/.test(out)) out += " ";
    } else if (token.startsWith("--")) {
      out += token;
      newLine();
    } else if (CLAUSES.test(word)) {
      if (out.trim() !== "" && !out.trimEnd().endsWith("(")) newLine();
      out += word.toUpperCase();
    } else if (token === "(") {
      depth += 1;
      out += token;
    } else if (token === ")") {
      depth = Math.max(0, depth - 1);
      out = out.trimEnd() + token;
    } else if (token === ",") {
      out = out.trimEnd() + token;
    } else if (token === ";") {
      out = `${out.trimEnd()};\n\n`;
      depth = 0;
    } else {
      out += KEYWORD.test(token) ? token.toUpperCase() : token;
    }
  }
  return out.trim();
}
