// The statements of a text: where one ends, by the rule of the shell (queryrun_cli/statements.py). Not
// by the editor's syntax tree: that is made for colours, in the time that is left, and may end early.

export interface Part {
  text: string;
  from: number;
}

const TOKEN = /'(?:[^']|'')*(?:'|$)|"(?:[^"]|"")*(?:"|$)|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|;|[A-Za-z_]\w*/g;
const COMMENT = /--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/g;
const NOT_OF_A_BLOCK = new Set(["IF", "LOOP", "WHILE", "REPEAT"]);

export function statements(text: string): Part[] {
  const parts: Part[] = [];
  let start = 0;
  let words: string[] = [];
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    if (token !== ";" || isInRoutine(words)) {
      if (/^[A-Za-z_;]/.test(token)) words.push(token.toUpperCase());
      continue;
    }
    parts.push(trimmed(text.slice(start, index), start));
    start = index + 1;
    words = [];
  }
  parts.push(trimmed(text.slice(start), start));
  return parts.filter((part) => part.text.replace(COMMENT, "").trim() !== "");
}

/** Whether these words have begun a routine of WITH FUNCTION, whose statements end with semicolons, too. */
function isInRoutine(words: string[]): boolean {
  if (words[0] !== "WITH" || words[1] !== "FUNCTION") return false;
  let depth = 0;
  words.forEach((word, at) => {
    if (word === "BEGIN" || (word === "CASE" && words[at - 1] !== "END")) depth += 1;
    else if (word === "END" && !NOT_OF_A_BLOCK.has(words[at + 1] ?? "")) depth -= 1;
  });
  return depth > 0;
}

export function trimmed(text: string, from: number): Part {
  const start = text.length - text.trimStart().length;
  return { text: text.trim().replace(/;+$/, "").trimEnd(), from: from + start };
}
