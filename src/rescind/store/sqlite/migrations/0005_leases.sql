-- Jobs follow their name; what limits how often a job is started anew is counted by itself, so that
-- a deploy costs nothing.

CREATE TABLE known_job (
    name    TEXT PRIMARY KEY,                 -- of a job metadata
    seen_at INTEGER NOT NULL                  -- when a live worker last said that it knows it
) STRICT, WITHOUT ROWID;

ALTER TABLE job ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN drained INTEGER NOT NULL DEFAULT 0;
