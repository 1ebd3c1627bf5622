-- How far an attempt was when its lease was last extended. Empty until then; without an index on
-- purpose, so that an extension changes none.
ALTER TABLE attempts ADD COLUMN progress_stage TEXT;
ALTER TABLE attempts ADD COLUMN progress_percent REAL;
ALTER TABLE attempts ADD COLUMN progress_rows INTEGER;
ALTER TABLE attempts ADD COLUMN progress_size_bytes INTEGER;
ALTER TABLE attempts ADD COLUMN progress_cpu_ms INTEGER;
ALTER TABLE attempts ADD COLUMN progress_memory_bytes INTEGER;
