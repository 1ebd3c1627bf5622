-- Limits that were set over HTTP. They use the primary key of limits, unless they say another index.

-- name: limits_of_subject
SELECT level, subject, name, value FROM limits WHERE level = :level AND subject = :subject;

-- name: limits
-- Reads the whole table, or one level of it: only administrators ask.
SELECT level, subject, name, value FROM limits WHERE :level IS NULL OR level = :level
ORDER BY level, subject, name;

-- name: limits_of_name
-- Index: limits_by_name.
SELECT level, subject, name, value FROM limits
WHERE name = :name AND (:level IS NULL OR level = :level) ORDER BY level, subject, name;

-- name: set_limit
INSERT INTO limits (level, subject, name, value) VALUES (:level, :subject, :name, :value)
ON CONFLICT (level, subject, name) DO UPDATE SET value = excluded.value;

-- name: remove_limit
DELETE FROM limits WHERE level = :level AND subject = :subject AND name = :name;
