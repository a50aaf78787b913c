-- Finished jobs are listed and pruned by their end; answers are kept for requests sent again; a
-- unique key keeps work from being submitted twice; events keep the error of each attempt.

-- Lists of finished jobs, and their totals, are read off these alone: paid once, at the ending.
CREATE INDEX job_finished ON job (finished_at, id, status, created_by)
WHERE finished_at IS NOT NULL;
CREATE INDEX job_ended ON job (status, id) WHERE finished_at IS NOT NULL;
CREATE INDEX job_named ON job (job_metadata, run_at, id) WHERE finished_at IS NOT NULL;

CREATE TABLE idempotency_key (
    user_id      INTEGER NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    method       TEXT NOT NULL,
    path         TEXT NOT NULL,
    key          TEXT NOT NULL,
    request_hash BLOB NOT NULL,               -- SHA-256 of what else the request said
    outcome      TEXT NOT NULL,               -- JSON
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (user_id, method, path, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_key_created ON idempotency_key (created_at);
CREATE INDEX session_created ON session (created_at);

ALTER TABLE job ADD COLUMN unique_key TEXT;
CREATE UNIQUE INDEX job_unique ON job (job_metadata, unique_key)
WHERE unique_key IS NOT NULL AND status IN ('SCHEDULED', 'QUEUEING', 'QUEUED', 'RUNNING');

ALTER TABLE job_event ADD COLUMN error TEXT;

-- The ordered ids of queries that have more than one page, packed.
CREATE TABLE query_cursor (
    id          TEXT PRIMARY KEY,
    user_id     INTEGER NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    description TEXT NOT NULL,                -- JSON: what a page shows
    ids         BLOB NOT NULL,                -- 8 bytes each
    used_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX query_cursor_of_user ON query_cursor (user_id, used_at);
