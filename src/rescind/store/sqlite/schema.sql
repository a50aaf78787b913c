-- The schema. Instants are whole milliseconds since 1970 (UTC).
-- What is true of every row stands here, in CHECKs and triggers, not only in the code.

CREATE TABLE user_account (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT NOT NULL UNIQUE COLLATE NOCASE,
    password_hash TEXT,                       -- NULL: cannot sign in
    permissions   TEXT NOT NULL,              -- JSON array of names
    active        INTEGER NOT NULL CHECK (active IN (0, 1)),
    created_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE session (
    id_hash    BLOB PRIMARY KEY,              -- SHA-256; the id itself is never stored
    user_id    INTEGER NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX session_created ON session (created_at);

-- The answers to requests that carried an Idempotency-Key, for when they are sent again.
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

-- The ordered ids of queries that have more than one page, packed.
CREATE TABLE query_cursor (
    id          TEXT PRIMARY KEY,
    user_id     INTEGER NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    description TEXT NOT NULL,                -- JSON: what a page shows
    ids         BLOB NOT NULL,                -- 8 bytes each
    used_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX query_cursor_of_user ON query_cursor (user_id, used_at);

CREATE TABLE queue (
    name TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE processor (
    name    TEXT PRIMARY KEY,                 -- module:attribute
    seen_at INTEGER NOT NULL                  -- when a live worker last said that it knows it
) STRICT, WITHOUT ROWID;

CREATE TABLE worker (
    id         TEXT PRIMARY KEY,                  -- one life of one process
    host       TEXT NOT NULL,
    pid        INTEGER NOT NULL,
    slots      INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL               -- when it last said that it lives
, obstacles TEXT NOT NULL DEFAULT '{}') STRICT, WITHOUT ROWID;

CREATE TABLE known_job (
    name    TEXT PRIMARY KEY,                 -- of a job metadata
    seen_at INTEGER NOT NULL                  -- when a live worker last said that it knows it
) STRICT, WITHOUT ROWID;

CREATE TABLE job_metadata (
    name               TEXT PRIMARY KEY,
    title              TEXT NOT NULL,
    processor          TEXT NOT NULL REFERENCES processor (name),
    queue              TEXT NOT NULL REFERENCES queue (name),
    cancellable_in     TEXT NOT NULL,         -- JSON array of statuses
    grace_seconds      REAL NOT NULL CHECK (grace_seconds >= 0),
    timeout_seconds    REAL NOT NULL CHECK (timeout_seconds > 0),
    inactivity_seconds REAL CHECK (inactivity_seconds > 0),
    idempotent         INTEGER NOT NULL CHECK (idempotent IN (0, 1)),
    attempts_max       INTEGER NOT NULL CHECK (attempts_max >= 1),
    retry_seconds      REAL NOT NULL CHECK (retry_seconds >= 0)
, interrupt_seconds REAL, terminate_seconds REAL NOT NULL DEFAULT 0.25) STRICT, WITHOUT ROWID;

-- What decides about a job stands on its row: submit copies it from the job metadata.
CREATE TABLE job (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given out twice
    job_metadata       TEXT NOT NULL,
    title              TEXT NOT NULL,
    status             TEXT NOT NULL CHECK (status IN (
        'SCHEDULED', 'QUEUEING', 'QUEUED', 'RUNNING', 'CANCELLING', 'CANCELLED', 'SUCCESS',
        'ERRORS_ENCOUNTERED', 'TIMEOUT', 'COMPLETED_DUE_TO_INACTIVITY', 'MISSED_SCHEDULE',
        'FAILED_TO_RUN')),
    previous_status    TEXT,                  -- where the last move came from
    method             TEXT,
    priority           INTEGER NOT NULL CHECK (priority BETWEEN 1 AND 100),
    parameters         TEXT NOT NULL,         -- JSON object
    queue              TEXT NOT NULL REFERENCES queue (name),
    processor          TEXT NOT NULL,
    cancellable_in     TEXT NOT NULL,
    grace_seconds      REAL NOT NULL,
    timeout_seconds    REAL NOT NULL,
    inactivity_seconds REAL,
    idempotent         INTEGER NOT NULL,
    attempts_max       INTEGER NOT NULL,
    retry_seconds      REAL NOT NULL,
    created_by         INTEGER NOT NULL REFERENCES user_account (id),
    created_at         INTEGER NOT NULL,
    modified_by        INTEGER NOT NULL REFERENCES user_account (id),
    modified_at        INTEGER NOT NULL,
    run_at             INTEGER NOT NULL,      -- the planned start
    held_until         INTEGER,               -- QUEUEING: the end of the start hold
    queued_at          INTEGER,
    started_at         INTEGER,
    finished_at        INTEGER,
    attempt            INTEGER NOT NULL DEFAULT 0,
    worker             TEXT,                  -- who holds the lease
    lease_expires_at   INTEGER,               -- NULL: while the worker lives
    evidence           TEXT CHECK (evidence IN (
        'NEVER_STARTED', 'STOPPED_ITSELF', 'TERMINATED', 'KILLED', 'WORKER_LOST')),
    error              TEXT,
    result             TEXT,                  -- JSON
    progress_done      INTEGER,
    progress_total     INTEGER, interrupt_seconds REAL, terminate_seconds REAL NOT NULL DEFAULT 0.25, unique_key TEXT, failures INTEGER NOT NULL DEFAULT 0, drained INTEGER NOT NULL DEFAULT 0, rerun_of INTEGER, undo INTEGER NOT NULL DEFAULT 0,
    CHECK (status <> 'RUNNING' OR (worker IS NOT NULL AND started_at IS NOT NULL)),
    CHECK (worker IS NULL OR status IN ('RUNNING', 'CANCELLING')),
    CHECK (lease_expires_at IS NULL OR worker IS NOT NULL),
    CHECK (status <> 'CANCELLED' OR evidence IS NOT NULL),
    CHECK ((finished_at IS NULL) = (status IN (
        'SCHEDULED', 'QUEUEING', 'QUEUED', 'RUNNING', 'CANCELLING')))
) STRICT;

CREATE INDEX job_scheduled ON job (run_at, id) WHERE status = 'SCHEDULED';
CREATE INDEX job_queueing ON job (held_until, id) WHERE status = 'QUEUEING';
CREATE INDEX job_queued ON job (job_metadata, priority, run_at, id) WHERE status = 'QUEUED';
CREATE INDEX job_held ON job (worker, id) WHERE worker IS NOT NULL;
CREATE INDEX job_cancelling ON job (id) WHERE status = 'CANCELLING';
CREATE INDEX job_of_user ON job (created_by, id);
-- Lists of finished jobs, and their totals, are read off these alone: paid once, at the ending.
CREATE INDEX job_finished ON job (finished_at, id, status, created_by)
WHERE finished_at IS NOT NULL;
CREATE INDEX job_ended ON job (status, id) WHERE finished_at IS NOT NULL;
CREATE INDEX job_named ON job (job_metadata, run_at, id) WHERE finished_at IS NOT NULL;
-- CANCELLING is not among them: what is submitted for work that stops is new work.
CREATE UNIQUE INDEX job_unique ON job (job_metadata, unique_key)
WHERE unique_key IS NOT NULL AND status IN ('SCHEDULED', 'QUEUEING', 'QUEUED', 'RUNNING');

CREATE INDEX job_rerun ON job (rerun_of, id) WHERE rerun_of IS NOT NULL;
-- A job is undone once.
CREATE UNIQUE INDEX job_undo ON job (rerun_of) WHERE undo;

CREATE TRIGGER job_is_born BEFORE INSERT ON job
WHEN NEW.status NOT IN ('SCHEDULED', 'QUEUEING', 'QUEUED')
BEGIN
    SELECT RAISE(ABORT, 'a job may not be born in this status');
END;

-- lifecycle.py's TRANSITIONS, held by the database itself: as one text, since a list would be made
-- anew for each row.
CREATE TRIGGER job_moves BEFORE UPDATE OF status ON job
WHEN instr(
    ' SCHEDULED>QUEUEING SCHEDULED>QUEUED SCHEDULED>CANCELLING'
    || ' SCHEDULED>MISSED_SCHEDULE SCHEDULED>FAILED_TO_RUN'
    || ' QUEUEING>QUEUED QUEUEING>CANCELLING QUEUEING>FAILED_TO_RUN'
    || ' QUEUED>RUNNING QUEUED>CANCELLING QUEUED>FAILED_TO_RUN'
    || ' RUNNING>SUCCESS RUNNING>ERRORS_ENCOUNTERED RUNNING>TIMEOUT'
    || ' RUNNING>COMPLETED_DUE_TO_INACTIVITY RUNNING>SCHEDULED RUNNING>QUEUED'
    || ' RUNNING>CANCELLING'
    || ' CANCELLING>CANCELLED ',
    ' ' || OLD.status || '>' || NEW.status || ' ') = 0
BEGIN
    SELECT RAISE(ABORT, 'no move leads from this status to that one');
END;

-- Who, when, why and by which request: one row a move, in the transaction of the move.
CREATE TABLE job_event (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id      INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    move        TEXT NOT NULL,
    from_status TEXT,
    to_status   TEXT NOT NULL,
    at          INTEGER NOT NULL,
    user_id     INTEGER NOT NULL,
    by          TEXT NOT NULL,
    reason      TEXT,
    request_id  TEXT,
    attempt     INTEGER NOT NULL,
    evidence    TEXT
, error TEXT) STRICT;

CREATE INDEX job_event_of_job ON job_event (job_id, id);

CREATE TRIGGER job_event_stays BEFORE UPDATE ON job_event
BEGIN
    SELECT RAISE(ABORT, 'an event is never changed');
END;

CREATE TRIGGER job_event_goes_with_its_job BEFORE DELETE ON job_event
WHEN EXISTS (SELECT 1 FROM job WHERE id = OLD.job_id)
BEGIN
    SELECT RAISE(ABORT, 'an event is deleted only with its job');
END;

-- Whole lines in chunks. start_byte counts from the first byte ever logged, so a gap is what
-- was dropped from the middle of a long log.
CREATE TABLE job_log (
    job_id     INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    start_byte INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    text       TEXT NOT NULL,
    PRIMARY KEY (job_id, start_byte)
) STRICT;

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

INSERT INTO queue (name) VALUES ('default__c');
INSERT INTO user_account (id, name, password_hash, permissions, active, created_at)
VALUES (1, 'System', NULL, '[]', 1, unixepoch() * 1000);
