"""Functions of our sessions (`pg_temp`): what must take a lock and then look, in one message.

A statement sees the database as of its beginning, so a lock and the look that it protects have
to be two statements. Inside a function they are, without a round trip between them: no lock is
held while a node is waited for, so a node that freezes cannot stop the others. The functions
live and die with a connection: each node brings its own version, and nothing is to be migrated.
"""

from __future__ import annotations

from queryrun.db.postgres.connect import Connection

_QUEUE_LOCK = 7101
_CLAIM_LOCK = 7102
"""Salts that keep our advisory locks apart."""

_HELD = "state IN ('in_progress', 'canceling')"
_WAITS = "state = 'accepted'"

QUEUE_HAS_ROOM = f"""
CREATE OR REPLACE FUNCTION pg_temp.queue_has_room(of_source text, of_tenant text, most bigint)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF most = 0 THEN
        RETURN true;
    END IF;
    PERFORM pg_advisory_xact_lock(
        hashtextextended(of_source || E'\\n' || of_tenant, {_QUEUE_LOCK}));
    RETURN NOT EXISTS (
        SELECT 1 FROM runs r
        WHERE r.{_WAITS} AND r.source = of_source AND r.tenant_id = of_tenant
        ORDER BY r.entity_id, r.ready_ms, r.seq LIMIT 1 OFFSET most - 1);
END $$
"""
"""Whether one more run may wait; until the end of the transaction nobody else may add one."""

LOCK_CLAIMS = f"""
    PERFORM pg_advisory_xact_lock(k) FROM (
        SELECT hashtextextended(s, {_CLAIM_LOCK}) AS k FROM unnest(sources) s ORDER BY 1) keys
"""


def groups_sql(*, of_first: str = "", of_next: str = "") -> str:
    """A recursive CTE: the entities that have something waiting on the sources of `wanted`.

    It jumps through the index from each to the next, so its cost grows with them and not with the
    queue. `of_first` and `of_next` are further columns, made from `w` (the source) and `first`, or
    from `g` (the entity before) and `next`.
    """
    return f"""
groups AS (
    SELECT w.source, first.tenant_id, first.entity_id{of_first}
    FROM wanted w CROSS JOIN LATERAL (
        SELECT r.tenant_id, r.entity_id FROM runs r
        WHERE r.{_WAITS} AND r.source = w.source
        ORDER BY r.tenant_id, r.entity_id LIMIT 1) first
    UNION ALL
    SELECT g.source, next.tenant_id, next.entity_id{of_next}
    FROM groups g CROSS JOIN LATERAL (
        SELECT r.tenant_id, r.entity_id FROM runs r
        WHERE r.{_WAITS} AND r.source = g.source
            AND (r.tenant_id, r.entity_id) > (g.tenant_id, g.entity_id)
        ORDER BY r.tenant_id, r.entity_id LIMIT 1) next
)"""


_RUNNING = f"""(SELECT count(*) FROM runs r
        WHERE r.{_HELD} AND r.source = {{source}} AND r.tenant_id = {{tenant}})"""
_GROUPS = groups_sql(
    of_first=f""", w.most, CASE WHEN w.most = 0 THEN slots
        ELSE w.most - {_RUNNING.format(source="w.source", tenant="first.tenant_id")} END""",
    of_next=f""", g.most, CASE WHEN g.most = 0 OR next.tenant_id = g.tenant_id THEN g.room
        ELSE g.most - {_RUNNING.format(source="g.source", tenant="next.tenant_id")} END""",
).replace("groups AS", "groups (source, tenant_id, entity_id, most, room) AS")
"""With the limit, and how many more runs the tenant may have running on the source."""

_READY = f"""
        SELECT r.ready_ms, r.seq FROM runs r
        WHERE r.{_WAITS} AND r.source = e.source AND r.tenant_id = e.tenant_id
            AND r.entity_id = e.entity_id AND r.ready_ms <= now_ms
        ORDER BY r.ready_ms, r.seq LIMIT"""

_BY_TURN = "ORDER BY turn, ready_ms, seq"

CHOICE = f"""
RECURSIVE wanted AS MATERIALIZED (
    SELECT source, most FROM unnest(sources, limits) AS given (source, most)
), {_GROUPS}, heads AS MATERIALIZED (
    -- The oldest ready run of each entity, no more of a tenant than it has room for.
    SELECT * FROM (
        SELECT e.*, head.ready_ms, head.seq, coalesce(u.turn, 0) AS turn,
            row_number() OVER (PARTITION BY e.source, e.tenant_id
                ORDER BY coalesce(u.turn, 0), head.ready_ms, head.seq) AS place
        FROM groups e
        LEFT JOIN entity_turns u ON u.tenant_id = e.tenant_id AND u.entity_id = e.entity_id
        CROSS JOIN LATERAL ({_READY} 1) head
        WHERE e.room > 0) ranked
    WHERE place <= room {_BY_TURN} LIMIT slots
), candidates AS (
    -- What these entities have waiting. Each head will be taken, so no entity can get more than
    -- the slots that the other heads leave.
    SELECT e.source, e.tenant_id, e.entity_id, e.turn, e.room, own.ready_ms, own.seq,
        e.ready_ms AS head_ms, e.seq AS head_seq,
        row_number() OVER (PARTITION BY e.source, e.tenant_id, e.entity_id
            ORDER BY own.ready_ms, own.seq) AS depth
    FROM heads e CROSS JOIN LATERAL (
        {_READY} slots + 1 - (SELECT count(*) FROM heads)) own
), within_limits AS (
    SELECT * FROM (
        SELECT c.*, row_number() OVER (PARTITION BY source, tenant_id
            ORDER BY depth, turn, head_ms, head_seq) AS place
        FROM candidates c) placed
    WHERE place <= room
), rounds AS (
    -- One run of each entity, then a second of each, whatever the source.
    SELECT w.*, row_number() OVER entity AS round,
        first_value(ready_ms) OVER entity AS first_ms, first_value(seq) OVER entity AS first_seq
    FROM within_limits w
    WINDOW entity AS (PARTITION BY tenant_id, entity_id ORDER BY ready_ms, seq)
), picked AS MATERIALIZED (
    SELECT seq, row_number() OVER (ORDER BY round, turn, first_ms, first_seq) AS position
    FROM rounds ORDER BY position LIMIT slots
)
"""
"""Which runs are next, in which order. Parameters: `sources`, `limits`, `slots`, `now_ms`."""

CLAIM_RUNS = f"""
CREATE OR REPLACE FUNCTION pg_temp.claim_runs(
    for_node text, lease_ms bigint, sources text[], limits bigint[], slots bigint)
RETURNS TABLE (run_seq bigint, number bigint, at_ms bigint, lease_until_ms bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    now_ms bigint;
BEGIN
    {LOCK_CLAIMS};
    now_ms := NOW;
    RETURN QUERY WITH {CHOICE}, free AS MATERIALIZED (
        -- A run that somebody cancels at this moment is left to them.
        SELECT r.seq, p.position FROM runs r JOIN picked p USING (seq)
        WHERE r.{_WAITS} ORDER BY p.position FOR UPDATE OF r SKIP LOCKED
    ), moved AS (
        UPDATE runs r SET state = 'in_progress', attempt = r.attempt + 1,
            started_ms = greatest(now_ms, r.updated_ms + 1),
            updated_ms = greatest(now_ms, r.updated_ms + 1)
        FROM free f WHERE r.seq = f.seq AND r.{_WAITS}
        RETURNING r.seq, r.attempt, r.updated_ms, r.tenant_id, r.entity_id, f.position
    ), history AS (
        INSERT INTO run_events (run_seq, at_ms, attempt, event, state, detail)
        SELECT seq, updated_ms, attempt, 'claim', 'in_progress', for_node FROM moved
    ), started AS (
        INSERT INTO attempts (run_seq, number, node, claimed_ms, lease_until_ms)
        SELECT seq, attempt, for_node, updated_ms, now_ms + lease_ms FROM moved
    ), served AS (
        INSERT INTO entity_turns (turn, tenant_id, entity_id)
        SELECT nextval('turns'), tenant_id, entity_id FROM (
            SELECT tenant_id, entity_id FROM moved GROUP BY tenant_id, entity_id
            ORDER BY max(position)) s
        ON CONFLICT (tenant_id, entity_id) DO UPDATE SET turn = excluded.turn
    )
    SELECT seq, attempt, updated_ms, now_ms + lease_ms FROM moved ORDER BY position;
END $$
"""
"""Claim the runs that are next. Claims of a source are taken one at a time, whoever asks: two
nodes that choose at once would choose the same runs, and exceed a tenant's limit together."""


def create_functions(connection: Connection, now: str) -> None:
    """Make the functions in this session; `now` is the SQL expression for the time."""
    for function in (QUEUE_HAS_ROOM, CLAIM_RUNS.replace("NOW", now, 1)):
        connection.execute(function, prepare=False)
