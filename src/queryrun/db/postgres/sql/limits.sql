-- Limits that were set over HTTP. They use the primary key of limits, unless they say another index.

-- name: limits_of_subjects
SELECT l.level, l.subject, l.name, l.value
FROM unnest(%(levels)s::text[], %(subjects)s::text[]) AS w (level, subject)
JOIN limits l ON l.level = w.level AND l.subject = w.subject;

-- name: limits
-- Reads the whole table, or one level of it: only administrators ask.
SELECT level, subject, name, value FROM limits
WHERE %(level)s::text IS NULL OR level = %(level)s::text
ORDER BY level, subject, name;

-- name: limits_of_name
-- Index: limits_by_name.
SELECT level, subject, name, value FROM limits
WHERE name = %(name)s::text AND (%(level)s::text IS NULL OR level = %(level)s::text)
ORDER BY level, subject, name;

-- name: set_limit
INSERT INTO limits (level, subject, name, value)
VALUES (%(level)s::text, %(subject)s::text, %(name)s::text, %(value)s::bigint)
ON CONFLICT (level, subject, name) DO UPDATE SET value = excluded.value;

-- name: remove_limit
DELETE FROM limits WHERE level = %(level)s::text AND subject = %(subject)s::text
    AND name = %(name)s::text;
