// The console: who is signed in, which entity, and which page.
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { type Options, type Session, actIn, api, whenSignedOut } from "./api.ts";
import { ComparePage } from "./compare.tsx";
import { OperatePage } from "./operate.tsx";
import { QueryPage } from "./query.tsx";
import { href, onLink, useAddress } from "./router.ts";
import { RunsPage } from "./runs.tsx";
import { StatementsPage } from "./saved.tsx";
import { SignIn } from "./signin.tsx";
import { Failure, messageOf, useLoaded, useRemembered, useTitle } from "./ui.tsx";

const EXTEND_EVERY_MS = 60_000;

function App() {
  const [session, setSession] = useState<Session | null>();
  const [reason, setReason] = useState<string>();
  useEffect(() => {
    whenSignedOut(() => {
      setReason("Your session has ended. Sign in again; what you wrote is still here.");
      setSession(null);
    });
    api.session().then(setSession, () => setSession(null));
  }, []);
  if (session === undefined) return <main class="sign-in muted">Loading …</main>;
  if (session === null) return <SignIn reason={reason} onSignedIn={setSession} />;
  const signOut = async () => {
    await api.signOut().catch(() => {});
    setReason("You are signed out.");
    setSession(null);
  };
  return <SignedIn session={session} onSignOut={signOut} />;
}

/** While somebody uses the page, and only then, the session goes on. */
function useStay() {
  useEffect(() => {
    let last = Date.now();
    const here = () => {
      if (Date.now() - last < EXTEND_EVERY_MS) return;
      last = Date.now();
      void api.extend().catch(() => {});
    };
    const signs = ["keydown", "pointerdown", "wheel"];
    for (const sign of signs) addEventListener(sign, here, { passive: true });
    return () => {
      for (const sign of signs) removeEventListener(sign, here);
    };
  }, []);
}

const PAGES: [string, string][] = [
  ["", "Query"],
  ["runs", "Runs"],
  ["statements", "Statements"],
  ["operate", "Operate"],
];

function SignedIn({ session, onSignOut }: { session: Session; onSignOut: () => void }) {
  const [remembered, remember] = useRemembered("entity", "");
  const known = session.entities.find((one) => one.id === remembered) ?? session.entities[0];
  const entity = known?.id ?? "";
  actIn(entity || null);
  const address = useAddress();
  const { value: options, error } = useLoaded(() => api.options(), [entity]);
  useStay();
  return (
    <>
      <a class="skip" href="#main">
        To the content
      </a>
      <header class="top">
        <strong>queryrun</strong>
        <nav aria-label="Pages">
          {PAGES.map(([page, label]) => (
            <a href={href(page || ".")} aria-current={address.page === page ? "page" : undefined}>
              {label}
            </a>
          ))}
        </nav>
        <span class="grow" />
        {session.entities.length > 1 ? (
          <label class="inline">
            <span class="unseen">Entity</span>
            <select value={entity} onChange={(event) => remember(event.currentTarget.value)}>
              {session.entities.map((one) => (
                <option value={one.id}>{one.name}</option>
              ))}
            </select>
          </label>
        ) : (
          <span class="muted">{known?.name}</span>
        )}
        <span class="muted who" title={session.client_id}>
          {session.client_name}
        </span>
        <button type="button" class="quiet" onClick={onSignOut}>
          Sign out
        </button>
      </header>
      {error && (
        <main id="main" class="page">
          <Failure title="The console cannot start">{error}</Failure>
        </main>
      )}
      {options && <Page key={entity} session={session} entity={entity} options={options} />}
    </>
  );
}

function Page({ session, entity, options }: { session: Session; entity: string; options: Options }) {
  const { page, id, query } = useAddress();
  const me = session.client_id;
  const { scopes } = session;
  if (page === "") return <QueryPage key="new" entity={entity} options={options} scopes={scopes} />;
  if (page === "runs" && id) return <Loaded key={id} kind="run" id={id} entity={entity} options={options} scopes={scopes} />;
  if (page === "runs") return <RunsPage entity={entity} options={options} query={query} me={me} />;
  if (page === "statements" && id) {
    return <Loaded key={id} kind="statement" id={id} entity={entity} options={options} scopes={scopes} />;
  }
  if (page === "statements") return <StatementsPage entity={entity} me={me} />;
  if (page === "compare") return <ComparePage a={query.get("a") ?? ""} b={query.get("b") ?? ""} />;
  if (page === "operate") return <OperatePage session={session} entity={entity} options={options} part={id ?? ""} query={query} />;
  return (
    <main id="main" class="page">
      <h1>There is no such page</h1>
      <p>
        <a href={href(".")}>Write a statement</a>
      </p>
    </main>
  );
}

/** A run or a saved statement at its permanent address: the same page, with what it has. */
function Loaded(props: { kind: "run" | "statement"; id: string; entity: string; options: Options; scopes: string[] }) {
  const { kind, id, entity, options, scopes } = props;
  useTitle(kind === "run" ? `Run ${id.slice(0, 8)}` : "Statement");
  const { value, error } = useLoaded(async () => {
    if (kind === "statement") {
      const statement = await api.statement(id);
      return { sql: statement.sql, source: statement.source ?? undefined, statement };
    }
    const run = await api.run(id);
    return { sql: run.sql, source: run.source, run };
  }, [kind, id]);
  if (value) return <QueryPage key={id} entity={entity} options={options} scopes={scopes} first={value} />;
  return (
    <main id="main" class="page">
      <h1>{kind === "run" ? "Run" : "Statement"}</h1>
      {error ? <Failure title="It cannot be shown">{messageOf(error)}</Failure> : <p class="muted">Reading …</p>}
    </main>
  );
}

document.addEventListener("click", onLink);
const place = document.getElementById("app");
if (place) {
  place.replaceChildren();
  render(<App />, place);
}
