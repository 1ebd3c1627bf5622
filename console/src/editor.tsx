// The editor: CodeMirror with Trino's SQL, completion of what there is, and findings while writing.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { SQLDialect, sql } from "@codemirror/lang-sql";
import { HighlightStyle, bracketMatching, syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, lintKeymap, linter, nextDiagnostic } from "@codemirror/lint";
import { Compartment, EditorState, Prec } from "@codemirror/state";
import { EditorView, drawSelection, highlightActiveLine, keymap, lineNumbers, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "preact/hooks";
import type { Finding, Table } from "./api.ts";
import { type Part, statements, trimmed } from "./statements.ts";
import { FUNCTIONS, KEYWORDS, TYPES } from "./words.ts";

const trino = SQLDialect.define({
  keywords: KEYWORDS,
  types: TYPES,
  builtin: FUNCTIONS,
  identifierQuotes: '"',
  operatorChars: "*+-%<>!=&|~^/?",
  specialVar: "",
  caseInsensitiveIdentifiers: true,
});

const colors = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--code-keyword)", fontWeight: "600" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--code-string)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--code-number)" },
  { tag: tags.comment, color: "var(--muted)", fontStyle: "italic" },
  { tag: [tags.typeName, tags.standard(tags.name)], color: "var(--code-name)" },
]);

const look = EditorView.theme({
  "&": { backgroundColor: "var(--field)", color: "var(--text)", fontSize: "var(--code-size)" },
  ".cm-content": { fontFamily: "var(--mono)", caretColor: "var(--text)", minHeight: "7.5rem", padding: "8px 0" },
  ".cm-scroller": { maxHeight: "45vh", overflow: "auto", fontFamily: "var(--mono)" },
  ".cm-gutters": { backgroundColor: "var(--field)", color: "var(--muted)", border: "none" },
  ".cm-activeLine": { backgroundColor: "var(--hover)" },
  "&.cm-focused": { outline: "none" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "var(--selection)",
  },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-placeholder": { color: "var(--muted)" },
  ".cm-tooltip": { backgroundColor: "var(--panel)", color: "var(--text)", border: "1px solid var(--line)" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
  ".cm-lintRange-error": {
    backgroundImage: "none",
    textDecoration: "underline wavy var(--bad)",
    textUnderlineOffset: "3px",
  },
  ".cm-matchingBracket": { backgroundColor: "var(--selection)", outline: "1px solid var(--line)" },
});

/** What to run: the selection, else the statement at the cursor. */
export function chosen(view: EditorView): Part {
  const { from, to } = view.state.selection.main;
  if (from !== to) return trimmed(view.state.sliceDoc(from, to), from);
  const parts = statements(view.state.doc.toString());
  const found = parts.findLast((part) => part.from <= from) ?? parts[0];
  return found ?? { text: "", from: 0 };
}

interface Props {
  value: string;
  label: string;
  tables: Table[];
  onChange: (text: string) => void;
  onRun: () => void;
  check: (sql: string) => Promise<Finding[]>;
  ready: (view: EditorView) => void;
}

function schemaOf(tables: Table[]) {
  return Object.fromEntries(
    tables.map((table) => [
      table.name,
      (table.columns ?? []).map((column) => ({ label: column.name, type: "property", detail: column.type })),
    ]),
  );
}

const language = (tables: Table[]) =>
  sql({ dialect: trino, schema: schemaOf(tables), upperCaseKeywords: true });

async function diagnostics(view: EditorView, check: Props["check"]): Promise<Diagnostic[]> {
  const found: Diagnostic[] = [];
  const parts = statements(view.state.doc.toString()).slice(0, MAX_CHECKED);
  const version = view.state.doc;
  const checked = await Promise.all(parts.map(async (part) => ({ part, findings: await check(part.text) })));
  if (view.state.doc !== version) return [];
  for (const { part, findings } of checked) {
    for (const finding of findings) {
      const from = positionOf(part, finding);
      const word = /^[\w"$]+/.exec(version.sliceString(from, from + 80))?.[0] ?? "";
      const to = Math.min(version.length, from + Math.max(1, word.length));
      found.push({ from: Math.min(from, Math.max(0, to - 1)), to, severity: "error", message: finding.message });
    }
  }
  return found;
}

const MAX_CHECKED = 10; // statements of one text; the others are checked when they run

function positionOf(part: Part, finding: Finding): number {
  const lines = part.text.split("\n");
  const line = Math.min(finding.line ?? 1, lines.length);
  const before = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
  const column = Math.min((finding.column ?? 1) - 1, lines[line - 1]?.length ?? 0);
  return part.from + Math.min(before + column, Math.max(0, part.text.length - 1));
}

export default function Editor(props: Props) {
  const element = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | undefined>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const words = useRef(new Compartment());

  useEffect(() => {
    const run = () => (latest.current.onRun(), true);
    const created = new EditorView({
      parent: element.current ?? undefined,
      state: EditorState.create({
        doc: props.value,
        extensions: [
          EditorView.cspNonce.of(document.body.dataset.nonce ?? ""),
          EditorView.contentAttributes.of({ "aria-label": props.label, spellcheck: "false" }),
          Prec.highest(keymap.of([{ key: "Mod-Enter", run }, { key: "F8", run: nextDiagnostic }])),
          lineNumbers(),
          history(),
          drawSelection(),
          highlightActiveLine(),
          bracketMatching(),
          closeBrackets(),
          autocompletion({ icons: false }),
          syntaxHighlighting(colors),
          look,
          placeholder("SELECT …"),
          EditorView.lineWrapping,
          linter((at) => diagnostics(at, latest.current.check), { delay: 350 }),
          keymap.of([
            ...closeBracketsKeymap,
            ...defaultKeymap,
            ...historyKeymap,
            ...completionKeymap,
            ...lintKeymap,
            indentWithTab,
          ]),
          words.current.of(language(props.tables)),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) latest.current.onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = created;
    props.ready(created);
    return () => created.destroy();
  }, []);

  useEffect(() => {
    view.current?.dispatch({ effects: words.current.reconfigure(language(props.tables)) });
  }, [props.tables]);

  return <div class="editor" ref={element} />;
}
