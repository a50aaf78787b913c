-- Each worker claims from the queues of its own jobs, and each user's jobs are found among millions.

DROP INDEX job_queued;
CREATE INDEX job_queued ON job (job_metadata, priority, run_at, id) WHERE status = 'QUEUED';
CREATE INDEX job_of_user ON job (created_by, id);
