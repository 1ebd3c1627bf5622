-- Which node does a task for all: an advisory lock per task, held by the leader's session.

-- name: leader_lock_is_free
-- Shared, so that nodes that check at the same time do not exclude each other.
SELECT pg_try_advisory_xact_lock_shared(hashtextextended(%(task)s, {leader_lock}));

-- name: take_leader_lock
SELECT pg_try_advisory_lock(hashtextextended(%(task)s, {leader_lock}));

-- name: set_idle_timeout
SELECT set_config('idle_session_timeout', %(timeout_ms)s, false);

-- name: read_clock
SELECT {now};
