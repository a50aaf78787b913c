-- Workers say that they live.

CREATE TABLE worker (
    id         TEXT PRIMARY KEY,                  -- one life of one process
    host       TEXT NOT NULL,
    pid        INTEGER NOT NULL,
    slots      INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL               -- when it last said that it lives
) STRICT, WITHOUT ROWID;
