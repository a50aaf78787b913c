-- A job is submitted anew, or its cancel is taken back; what a query means is pinned, and something is
-- done to all of it.

ALTER TABLE job ADD COLUMN rerun_of INTEGER;
ALTER TABLE job ADD COLUMN undo INTEGER NOT NULL DEFAULT 0;
CREATE INDEX job_rerun ON job (rerun_of, id) WHERE rerun_of IS NOT NULL;
-- A job is undone once.
CREATE UNIQUE INDEX job_undo ON job (rerun_of) WHERE undo;

-- Exactly the jobs that a query meant at one moment.
CREATE TABLE selection (
    id         TEXT PRIMARY KEY,
    user_id    INTEGER NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    query      TEXT NOT NULL,
    total      INTEGER NOT NULL,
    shown      TEXT NOT NULL,                -- JSON: what is told of it
    complete   INTEGER NOT NULL CHECK (complete IN (0, 1)),             -- its last part is written
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX selection_of_user ON selection (user_id, expires_at);
CREATE INDEX selection_expires ON selection (expires_at);

-- Their ids, ascending, and packed: 8 bytes each.
CREATE TABLE selection_part (
    selection_id TEXT NOT NULL REFERENCES selection (id) ON DELETE CASCADE,
    number       INTEGER NOT NULL,          -- from 0; all but the last have as many ids
    first_id     INTEGER NOT NULL,
    ids          BLOB NOT NULL,
    PRIMARY KEY (selection_id, number)
) STRICT;

-- One thing done to each job of a selection, or to each that another operation has cancelled.
CREATE TABLE operation (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    action       TEXT NOT NULL CHECK (action IN ('cancel', 'rerun', 'start', 'undo')),
    status       TEXT NOT NULL CHECK (status IN ('RUNNING', 'DONE', 'STOPPED')),
    selection_id TEXT REFERENCES selection (id),
    undo_of      INTEGER REFERENCES operation (number),
    query        TEXT NOT NULL,
    total        INTEGER NOT NULL,
    done         INTEGER NOT NULL DEFAULT 0,   -- jobs that were judged
    batch_jobs   INTEGER NOT NULL,          -- how many a batch has: whole batches make a part
    batches      INTEGER NOT NULL,
    batches_done INTEGER NOT NULL DEFAULT 0,
    outcomes     TEXT NOT NULL DEFAULT '{}',  -- JSON: how many jobs, by code
    created_by   INTEGER NOT NULL REFERENCES user_account (id),
    created_at   INTEGER NOT NULL,
    ended_at     INTEGER,
    reason       TEXT,
    request_id   TEXT,
    CHECK ((selection_id IS NULL) = (undo_of IS NOT NULL)),
    CHECK ((undo_of IS NULL) = (action <> 'undo')),
    CHECK ((ended_at IS NULL) = (status = 'RUNNING'))
) STRICT;

CREATE INDEX operation_running ON operation (number) WHERE status = 'RUNNING';
CREATE INDEX operation_of_user ON operation (created_by, number);
CREATE INDEX operation_of_selection ON operation (selection_id);
CREATE INDEX operation_ended ON operation (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX operation_undone ON operation (undo_of) WHERE undo_of IS NOT NULL;
-- One that was stopped may be asked for again.
CREATE UNIQUE INDEX operation_undo ON operation (undo_of)
WHERE undo_of IS NOT NULL AND status <> 'STOPPED';

-- What became of the jobs of a batch, written with what was done.
CREATE TABLE operation_batch (
    operation INTEGER NOT NULL REFERENCES operation (number) ON DELETE CASCADE,
    number    INTEGER NOT NULL,             -- from 0
    codes     BLOB NOT NULL,               -- a byte each
    statuses  BLOB NOT NULL,               -- a byte each
    new_ids   BLOB,                        -- 8 bytes each; NULL: no job came of it
    PRIMARY KEY (operation, number)
) STRICT;
