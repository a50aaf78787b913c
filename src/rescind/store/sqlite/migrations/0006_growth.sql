-- Each worker claims from the queues of its own jobs, and each user's jobs are found among millions.

DROP INDEX job_queued;
CREATE INDEX job_queued ON job (job_metadata, priority, run_at, id) WHERE status = 'QUEUED';
CREATE INDEX job_of_user ON job (created_by, id);

-- As one text, since a list would be made anew for each row.
DROP TRIGGER job_moves;
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
