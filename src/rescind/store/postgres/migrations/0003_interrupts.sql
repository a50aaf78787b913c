-- How soon a function that has not noticed a stop is interrupted (NULL: never), and how long its
-- processes have between SIGTERM and SIGKILL. Jobs from before are not interrupted.

ALTER TABLE job_metadata ADD COLUMN interrupt_seconds double precision;
ALTER TABLE job_metadata ADD COLUMN terminate_seconds double precision NOT NULL DEFAULT 0.25;
ALTER TABLE job ADD COLUMN interrupt_seconds double precision;
ALTER TABLE job ADD COLUMN terminate_seconds double precision NOT NULL DEFAULT 0.25;
