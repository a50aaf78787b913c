-- Workers say that they live.

CREATE TABLE worker (
    id         text PRIMARY KEY,                  -- one life of one process
    host       text NOT NULL,
    pid        integer NOT NULL,
    slots      integer NOT NULL,
    started_at timestamptz NOT NULL,
    seen_at    timestamptz NOT NULL               -- when it last said that it lives
);
