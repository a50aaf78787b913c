-- A worker has one lease, in a table that nothing else locks; jobs follow their name; what limits
-- how often a job is started anew is counted by itself, so that a deploy costs nothing; and what a run
-- logs waits for nobody.

CREATE TABLE worker_lease (
    worker     text PRIMARY KEY,
    expires_at timestamptz NOT NULL
);

CREATE TABLE known_job (
    name    text PRIMARY KEY,                 -- of a job metadata
    seen_at timestamptz NOT NULL              -- when a live worker last said that it knows it
);

ALTER TABLE job ADD COLUMN failures integer NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN drained boolean NOT NULL DEFAULT false;

ALTER TABLE job_log DROP CONSTRAINT job_log_job_id_fkey;

-- Not a foreign key: with one, each line that a run logs would wait for whoever holds its job.
CREATE FUNCTION forget_logs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM job_log WHERE job_id IN (SELECT id FROM gone);
    RETURN NULL;
END $$;

CREATE TRIGGER job_log_goes_with_its_job AFTER DELETE ON job REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION forget_logs();
