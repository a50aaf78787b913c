-- A job is submitted anew, or its cancel is taken back; what a query means is pinned, and something is
-- done to all of it.

ALTER TABLE job ADD COLUMN rerun_of bigint;
ALTER TABLE job ADD COLUMN undo boolean NOT NULL DEFAULT false;
CREATE INDEX job_rerun ON job (rerun_of, id) WHERE rerun_of IS NOT NULL;
-- A job is undone once.
CREATE UNIQUE INDEX job_undo ON job (rerun_of) WHERE undo;

-- Exactly the jobs that a query meant at one moment.
CREATE TABLE selection (
    id         text PRIMARY KEY,
    user_id    bigint NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    query      text NOT NULL,
    total      integer NOT NULL,
    shown      text NOT NULL,                -- JSON: what is told of it
    complete   boolean NOT NULL,             -- its last part is written
    expires_at timestamptz NOT NULL
);

CREATE INDEX selection_of_user ON selection (user_id, expires_at);
CREATE INDEX selection_expires ON selection (expires_at);

-- Their ids, ascending, and packed: 8 bytes each.
CREATE TABLE selection_part (
    selection_id text NOT NULL REFERENCES selection (id) ON DELETE CASCADE,
    number       integer NOT NULL,          -- from 0; all but the last have as many ids
    first_id     bigint NOT NULL,
    ids          bytea NOT NULL,
    PRIMARY KEY (selection_id, number)
);

-- One thing done to each job of a selection, or to each that another operation has cancelled.
CREATE TABLE operation (
    number       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id           text NOT NULL UNIQUE,
    action       text NOT NULL CHECK (action IN ('cancel', 'rerun', 'start', 'undo')),
    status       text NOT NULL CHECK (status IN ('RUNNING', 'DONE', 'STOPPED')),
    selection_id text REFERENCES selection (id),
    undo_of      bigint REFERENCES operation (number),
    query        text NOT NULL,
    total        integer NOT NULL,
    done         integer NOT NULL DEFAULT 0,   -- jobs that were judged
    batch_jobs   integer NOT NULL,          -- how many a batch has: whole batches make a part
    batches      integer NOT NULL,
    batches_done integer NOT NULL DEFAULT 0,
    outcomes     text NOT NULL DEFAULT '{}',  -- JSON: how many jobs, by code
    created_by   bigint NOT NULL REFERENCES user_account (id),
    created_at   timestamptz NOT NULL,
    ended_at     timestamptz,
    reason       text,
    request_id   text,
    CHECK ((selection_id IS NULL) = (undo_of IS NOT NULL)),
    CHECK ((undo_of IS NULL) = (action <> 'undo')),
    CHECK ((ended_at IS NULL) = (status = 'RUNNING'))
);

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
    operation bigint NOT NULL REFERENCES operation (number) ON DELETE CASCADE,
    number    integer NOT NULL,             -- from 0
    codes     bytea NOT NULL,               -- a byte each
    statuses  bytea NOT NULL,               -- a byte each
    new_ids   bytea,                        -- 8 bytes each; NULL: no job came of it
    PRIMARY KEY (operation, number)
);
