-- What a client may have a bounded number of.

-- name: take_turn_to_add
-- Before what a client may have a bounded number of is counted and added: two of its requests take
-- turns, to the end of the transaction.
SELECT pg_advisory_xact_lock(hashtextextended(%(client_id)s, {addition_lock}));
