// What an operator sees and does. Parts that `/admin/v1` gives need its scopes.
import type { Options, Session } from "./api.ts";
import { AuditPart } from "./audit.tsx";
import { ClientsPart } from "./clients.tsx";
import { NowPart } from "./now.tsx";
import { href } from "./router.ts";
import { useTitle } from "./ui.tsx";
import { UsagePart } from "./usage.tsx";

interface Props {
  session: Session;
  entity: string;
  options: Options;
  part: string;
  query: URLSearchParams;
}

export interface Rights {
  /** Stop runs of the entity, or at least one's own. */
  cancel: boolean;
  /** Read and change what `/admin/v1` has. */
  read: boolean;
  write: boolean;
}

export function rightsOf(scopes: string[]): Rights {
  const write = scopes.includes("admin:write");
  return {
    cancel: scopes.some((scope) => scope === "cancel" || scope.includes("admin")),
    read: write || scopes.includes("admin:read"),
    write,
  };
}

export function OperatePage({ session, entity, options, part, query }: Props) {
  useTitle("Operate");
  const rights = rightsOf(session.scopes);
  const parts: [string, string, boolean][] = [
    ["", "Now", true],
    ["usage", "Usage", true],
    ["clients", "Clients", rights.read],
    ["audit", "Audit", rights.read],
  ];
  return (
    <main id="main" class="page">
      <h1>Operate</h1>
      <nav class="bar parts" aria-label="Parts">
        {parts.map(([name, label, isAllowed]) =>
          isAllowed ? (
            <a href={href(name ? `operate/${name}` : "operate")} aria-current={part === name ? "page" : undefined}>
              {label}
            </a>
          ) : null,
        )}
        {!rights.read && <span class="muted">Clients and the audit log need the scope admin:read.</span>}
      </nav>
      {part === "" && <NowPart entity={entity} options={options} rights={rights} me={session.client_id} />}
      {part === "usage" && <UsagePart entity={entity} query={query} sources={options.sources} />}
      {part === "clients" && rights.read && <ClientsPart rights={rights} me={session.client_id} />}
      {part === "audit" && rights.read && <AuditPart query={query} />}
    </main>
  );
}
