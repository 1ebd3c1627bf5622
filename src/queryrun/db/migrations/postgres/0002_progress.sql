-- oldest program: 1
-- How far an attempt was when its lease was last extended. Empty until then, and for attempts of
-- nodes that know nothing of it; without an index on purpose, so that an extension changes none.
ALTER TABLE attempts
    ADD COLUMN progress_stage text,
    ADD COLUMN progress_percent double precision,
    ADD COLUMN progress_rows bigint,
    ADD COLUMN progress_size_bytes bigint,
    ADD COLUMN progress_cpu_ms bigint,
    ADD COLUMN progress_memory_bytes bigint;
