-- How a run changes state. No other statement writes runs.state of a run that exists.

-- Each compares and sets: the state and the attempt must still be those that were read. All of
-- them use the primary key of their table.

-- name: update_claim
UPDATE runs SET state = :after, attempt = :next_attempt, updated_ms = :at_ms,
    started_ms = :at_ms
WHERE seq = :seq AND state = :before AND attempt = :attempt;

-- name: update_complete
UPDATE runs SET state = :after, attempt = :next_attempt, updated_ms = :at_ms,
    {set_by_complete}
WHERE seq = :seq AND state = :before AND attempt = :attempt;

-- name: update_fail
UPDATE runs SET state = :after, attempt = :next_attempt, updated_ms = :at_ms,
    {set_by_fail}
WHERE seq = :seq AND state = :before AND attempt = :attempt;

-- name: update_requeue
UPDATE runs SET state = :after, attempt = :next_attempt, updated_ms = :at_ms,
    ready_ms = :ready_ms, remaining_attempts = remaining_attempts - :charge
WHERE seq = :seq AND state = :before AND attempt = :attempt;

-- name: update_cancel
-- A run that was waiting is canceled with this: nothing of it had started.
UPDATE runs SET state = :after, attempt = :next_attempt, updated_ms = :at_ms,
    cancel_requested_ms = :at_ms, cancel_reason = :cancel_reason, canceled_by = :canceled_by,
    cancel_stage = CASE WHEN state = 'accepted' THEN 'queued' END,
    cancel_engine_stop = CASE WHEN state = 'accepted' THEN 'never_started' END,
    canceled_ms = CASE WHEN state = 'accepted' THEN :at_ms END
WHERE seq = :seq AND state = :before AND attempt = :attempt;

-- name: update_freed
UPDATE runs SET state = :after, attempt = :next_attempt, updated_ms = :at_ms,
    cancel_stage = :cancel_stage, cancel_engine_stop = :cancel_engine_stop, canceled_ms = :at_ms,
    cancel_steps = :cancel_steps
WHERE seq = :seq AND state = :before AND attempt = :attempt;

-- name: add_event
INSERT INTO run_events (run_seq, at_ms, attempt, event, state, detail)
VALUES (:seq, :at_ms, :attempt, :event, :state, :detail);

-- name: end_attempt
UPDATE attempts SET ended_ms = :at_ms, outcome = :outcome, failure_code = :failure_code,
    failure_message = :failure_message, stop_requested_ms = :cancel_requested_ms,
    stop_reason = :cancel_reason, stop_by = :canceled_by, stop_stage = :cancel_stage,
    stop_engine = :cancel_engine_stop
WHERE run_seq = :seq AND number = :number;
