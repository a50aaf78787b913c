-- The moves. Each text is a list of common table expressions, the last of which is
-- moved (id, from_status, to_status, attempt, evidence, error); `record` and `moved` of queries.sql are
-- put behind it, so that a move and its events are one statement. A move locks the rows it may
-- move in id order, or skips the locked ones: no two moves can wait for each other.
--
-- A condition on `locked` is judged once the row is held, as it then is. One on `job` is judged on
-- the row as it was when the statement began, and again if it has changed since: enough for rows
-- that nobody but the caller brings into that condition. A status that many jobs may have is never asked
-- of `job`: where the statistics know none that has it, the plan would loop over all of them.

-- name: submit
-- submit: inserts new jobs, each due (QUEUED) or not yet (SCHEDULED). Where a job holds the unique
-- key, none is inserted. Ids are given out in the order given, rows inserted in that of their
-- unique keys: who has to wait for another's key holds none that the other waits for.
given AS MATERIALIZED (
    SELECT nextval(pg_get_serial_sequence('job', 'id')) AS id, ordered.* FROM (
        SELECT * FROM ROWS FROM (jsonb_to_recordset(CAST(:jobs AS jsonb)) AS (
            job_metadata text, title text, method text, priority integer, parameters text,
            queue text, processor text, cancellable_in text[], grace_seconds double precision,
            timeout_seconds double precision, inactivity_seconds double precision,
            idempotent boolean, attempts_max integer, retry_seconds double precision,
            interrupt_seconds double precision, terminate_seconds double precision,
            unique_key text, run_at bigint)) WITH ORDINALITY AS given (
            job_metadata, title, method, priority, parameters, queue, processor, cancellable_in,
            grace_seconds, timeout_seconds, inactivity_seconds, idempotent, attempts_max,
            retry_seconds, interrupt_seconds, terminate_seconds, unique_key, run_at, position)
        WHERE NOT EXISTS (
            -- Their ids would be used up in vain.
            SELECT 1 FROM job
            WHERE job.job_metadata = given.job_metadata AND job.unique_key = given.unique_key
                AND job.unique_key IS NOT NULL
                AND status IN ('SCHEDULED', 'QUEUEING', 'QUEUED', 'RUNNING'))
        ORDER BY position) AS ordered
), moved AS (
    INSERT INTO job (
        id, job_metadata, title, status, method, priority, parameters, queue, processor,
        cancellable_in, grace_seconds, timeout_seconds, inactivity_seconds, idempotent,
        attempts_max, retry_seconds, interrupt_seconds, terminate_seconds, unique_key,
        created_by, created_at, modified_by, modified_at, run_at, queued_at)
    OVERRIDING SYSTEM VALUE
    SELECT
        id, job_metadata, title,
        CASE WHEN due > moment() THEN 'SCHEDULED' ELSE 'QUEUED' END,
        method, priority, parameters, queue, processor, cancellable_in, grace_seconds,
        timeout_seconds, inactivity_seconds, idempotent, attempts_max, retry_seconds,
        interrupt_seconds, terminate_seconds, unique_key, :user_id, moment(), :user_id, moment(),
        coalesce(due, moment()), CASE WHEN due > moment() THEN NULL ELSE moment() END
    FROM given,
        LATERAL (SELECT timestamptz 'epoch' + run_at * interval '1 millisecond' AS due) AS dated
    ORDER BY job_metadata, unique_key, id
    ON CONFLICT (job_metadata, unique_key)
        WHERE unique_key IS NOT NULL AND status IN ('SCHEDULED', 'QUEUEING', 'QUEUED', 'RUNNING')
        DO NOTHING
    RETURNING id, CAST(NULL AS text) AS from_status, status AS to_status, attempt, evidence, error
);

-- name: rerun
-- submit, of jobs that are there already: their names, parameters, titles and priorities, all else from
-- today's metadata. Taking back a cancel, it keeps whose job it is, its run date if that lies ahead, and
-- its unique key; where that is taken, or the job was undone already, none is inserted. Ids and rows
-- are in the order that submit has them in.
given AS MATERIALIZED (
    SELECT nextval(pg_get_serial_sequence('job', 'id')) AS new_id, ordered.* FROM (
        SELECT
            id AS old_id, job_metadata, title, priority, parameters,
            CASE WHEN :undo THEN unique_key END AS unique_key,
            CASE WHEN :undo THEN created_by ELSE :user_id END AS created_by,
            CASE WHEN :undo THEN greatest(run_at, moment()) ELSE moment() END AS due
        FROM job
        WHERE id = ANY(:ids) AND (finished_at IS NOT NULL OR :undo AND status = 'CANCELLING')
        ORDER BY id) AS ordered
), moved AS (
    INSERT INTO job (
        id, job_metadata, title, status, method, priority, parameters, queue, processor,
        cancellable_in, grace_seconds, timeout_seconds, inactivity_seconds, idempotent,
        attempts_max, retry_seconds, interrupt_seconds, terminate_seconds, unique_key,
        created_by, created_at, modified_by, modified_at, run_at, queued_at, rerun_of, undo)
    OVERRIDING SYSTEM VALUE
    SELECT
        new_id, given.job_metadata, given.title,
        CASE WHEN due > moment() THEN 'SCHEDULED' ELSE 'QUEUED' END, 'POST', given.priority,
        given.parameters, today.queue, today.processor, today.cancellable_in, today.grace_seconds,
        today.timeout_seconds, today.inactivity_seconds, today.idempotent, today.attempts_max,
        today.retry_seconds, today.interrupt_seconds, today.terminate_seconds, given.unique_key,
        given.created_by, moment(), :user_id, moment(), due,
        CASE WHEN due > moment() THEN NULL ELSE moment() END, old_id, :undo
    FROM given JOIN job_metadata AS today ON today.name = given.job_metadata
    ORDER BY given.job_metadata, given.unique_key, old_id
    ON CONFLICT DO NOTHING
    RETURNING id, CAST(NULL AS text) AS from_status, status AS to_status, attempt, evidence, error,
        rerun_of
);

-- name: start
-- start: scheduled jobs run now; with a hold they wait in QUEUEING first.
locked AS MATERIALIZED (
    SELECT id, status FROM job
    WHERE id = ANY(:ids) AND (CAST(:owner AS bigint) IS NULL OR created_by = :owner)
    ORDER BY id FOR NO KEY UPDATE
    SKIP LOCKED -- if free_only
), moved AS (
    UPDATE job SET
        status = CASE WHEN CAST(:hold AS interval) > interval '0' THEN 'QUEUEING' ELSE 'QUEUED' END,
        held_until = CASE WHEN CAST(:hold AS interval) > interval '0'
            THEN moment() + CAST(:hold AS interval) END,
        queued_at = CASE WHEN CAST(:hold AS interval) > interval '0' THEN NULL ELSE moment() END,
        run_at = least(run_at, moment()),
        modified_by = :user_id, modified_at = moment()
    FROM locked
    WHERE job.id = locked.id AND locked.status = 'SCHEDULED'
    RETURNING job.id, locked.status AS from_status, job.status AS to_status, job.attempt,
        job.evidence, job.error
);

-- name: stage
-- stage: scheduled jobs whose time has come.
locked AS MATERIALIZED (
    SELECT id, status FROM job WHERE status = 'SCHEDULED' AND run_at <= moment()
    ORDER BY run_at, id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
), moved AS (
    UPDATE job SET
        status = 'QUEUED', queued_at = moment(), modified_by = :user_id, modified_at = moment()
    FROM locked
    WHERE job.id = locked.id AND locked.status = 'SCHEDULED'
    RETURNING job.id, locked.status AS from_status, job.status AS to_status, job.attempt,
        job.evidence, job.error
);

-- name: queue
-- queue: jobs whose start hold has passed.
locked AS MATERIALIZED (
    SELECT id, status FROM job WHERE status = 'QUEUEING' AND held_until <= moment()
    ORDER BY held_until, id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
), moved AS (
    UPDATE job SET
        status = 'QUEUED', queued_at = moment(), held_until = NULL,
        modified_by = :user_id, modified_at = moment()
    FROM locked
    WHERE job.id = locked.id AND locked.status = 'QUEUEING'
    RETURNING job.id, locked.status AS from_status, job.status AS to_status, job.attempt,
        job.evidence, job.error
);

-- name: claim
-- claim: the first queued jobs, by priority, run date and id, that this worker can run, if it has a
-- lease. The job's own column says that the lease stands elsewhere: programs of the version before,
-- which only know that one, leave the job alone.
--
-- It looks at the first few of each of its names: at more of them only where others hold those.
leased AS MATERIALIZED (
    SELECT 1 FROM worker_lease WHERE worker_lease.worker = :worker AND expires_at > moment()
), near AS MATERIALIZED (
    SELECT first.id FROM unnest(CAST(:names AS text[])) AS name, LATERAL (
        SELECT id, priority, run_at FROM job WHERE status = 'QUEUED' AND job_metadata = name
        ORDER BY priority, run_at, id LIMIT :limit + :near) AS first
    WHERE EXISTS (SELECT 1 FROM leased)
    ORDER BY first.priority, first.run_at, first.id LIMIT :limit + :near
), held_near AS MATERIALIZED (
    SELECT id, status FROM job WHERE id = ANY(ARRAY(SELECT id FROM near)) AND status = 'QUEUED'
    ORDER BY priority, run_at, id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
), far AS MATERIALIZED (
    SELECT first.id FROM unnest(CAST(:names AS text[])) AS name, LATERAL (
        SELECT id, priority, run_at FROM job WHERE status = 'QUEUED' AND job_metadata = name
        ORDER BY priority, run_at, id LIMIT :limit + :far) AS first
    WHERE (SELECT count(*) FROM near) = :limit + :near
        AND (SELECT count(*) FROM held_near) < :limit
    ORDER BY first.priority, first.run_at, first.id LIMIT :limit + :far
), held_far AS MATERIALIZED (
    SELECT id, status FROM job
    WHERE id = ANY(ARRAY(SELECT id FROM far EXCEPT SELECT id FROM held_near)) AND status = 'QUEUED'
    ORDER BY priority, run_at, id LIMIT :limit - (SELECT count(*) FROM held_near)
    FOR NO KEY UPDATE SKIP LOCKED
), locked AS MATERIALIZED (
    SELECT * FROM held_near UNION ALL SELECT * FROM held_far
), moved AS (
    UPDATE job SET
        status = 'RUNNING', attempt = attempt + 1, worker = :worker, started_at = moment(),
        lease_expires_at = timestamptz '9999-01-01', drained = false,
        evidence = NULL, error = NULL, progress_done = NULL, progress_total = NULL,
        modified_by = :user_id, modified_at = moment()
    FROM locked
    WHERE job.id = locked.id AND locked.status = 'QUEUED'
    RETURNING job.*, locked.status AS from_status, job.status AS to_status
);

-- name: finish
-- finish: runs that ended. The worker and the attempt fence out the writes of an earlier run;
-- the status fences out the writes of a run whose cancel was accepted.
ended AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(CAST(:ends AS jsonb)) AS e (
        id bigint, attempt integer, status text, evidence text, error text, result text)
), locked AS MATERIALIZED (
    SELECT ended.* FROM ended JOIN job USING (id) ORDER BY job.id FOR NO KEY UPDATE OF job
    SKIP LOCKED -- if free_only
), moved AS (
    UPDATE job SET
        status = locked.status, evidence = locked.evidence, error = locked.error,
        result = locked.result, finished_at = moment(), worker = NULL, lease_expires_at = NULL,
        modified_by = :user_id, modified_at = moment()
    FROM locked
    WHERE job.id = locked.id AND job.attempt = locked.attempt
        AND job.status = 'RUNNING' AND job.worker = :worker
    RETURNING job.id, 'RUNNING' AS from_status, job.status AS to_status, job.attempt, job.evidence,
        job.error
);

-- name: retry
-- retry: runs whose code raised, to be tried again later.
ended AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(CAST(:retries AS jsonb)) AS e (
        id bigint, attempt integer, evidence text, error text, delay_milliseconds bigint)
), locked AS MATERIALIZED (
    SELECT ended.* FROM ended JOIN job USING (id) ORDER BY job.id FOR NO KEY UPDATE OF job
), moved AS (
    UPDATE job SET
        status = 'SCHEDULED', failures = failures + 1,
        evidence = locked.evidence, error = locked.error,
        run_at = moment() + locked.delay_milliseconds * interval '1 millisecond',
        queued_at = NULL, worker = NULL, lease_expires_at = NULL,
        modified_by = :user_id, modified_at = moment()
    FROM locked
    WHERE job.id = locked.id AND job.attempt = locked.attempt
        AND job.status = 'RUNNING' AND job.worker = :worker
    RETURNING job.id, 'RUNNING' AS from_status, job.status AS to_status, job.attempt, job.evidence,
        job.error
);

-- name: rescue
-- rescue: running jobs that were given back, or whose worker is lost: its lease was ended, and, where
-- it is of the version before, so is that on the row. What was certainly not started is queued again;
-- so is what may be started again, within its bound. Anything else ends with an error that says so.
locked AS MATERIALIZED (
    SELECT
        id, status, idempotent, drained, evidence IS NOT DISTINCT FROM 'NEVER_STARTED' AS unentered,
        failures + CASE WHEN drained OR evidence IS NOT DISTINCT FROM 'NEVER_STARTED'
            THEN 0 ELSE 1 END AS failures,
        CASE WHEN attempts_max > 1 THEN attempts_max WHEN idempotent THEN :losses_max ELSE 0 END
            AS failures_max
    FROM job
    WHERE worker IS NOT NULL AND status = 'RUNNING' AND (
        evidence IS NOT NULL OR
        (lease_expires_at <= moment() OR lease_expires_at = timestamptz '9999-01-01')
            AND NOT EXISTS (SELECT 1 FROM worker_lease WHERE worker_lease.worker = job.worker))
    ORDER BY id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
), judged AS MATERIALIZED (
    SELECT *, unentered OR failures < failures_max AS again FROM locked
), moved AS (
    UPDATE job SET
        status = CASE WHEN again THEN 'QUEUED' ELSE 'ERRORS_ENCOUNTERED' END,
        evidence = coalesce(evidence, 'WORKER_LOST'),
        failures = judged.failures, drained = false,
        queued_at = CASE WHEN again THEN moment() ELSE queued_at END,
        finished_at = CASE WHEN again THEN NULL ELSE moment() END,
        error = CASE
            WHEN unentered THEN NULL
            WHEN judged.drained AND again
            THEN 'Its worker was told to stop, by a deploy perhaps, and stopped it: it is started again.'
            WHEN judged.drained
            THEN 'Its worker was told to stop, by a deploy perhaps, and stopped it. It is not idempotent: it is not started again.'
            WHEN again
            THEN 'The worker was lost or gave the job up (failure ' || judged.failures || ' of ' || failures_max || '): it is started again.'
            WHEN failures_max > 0
            THEN 'The worker was lost or gave the job up (failure ' || judged.failures || ' of ' || failures_max || '): it is not started again.'
            ELSE 'The worker was lost or gave the job up, and the job is not idempotent: it is not started again.'
            END,
        worker = NULL, lease_expires_at = NULL,
        modified_by = :user_id, modified_at = moment()
    FROM judged
    WHERE job.id = judged.id AND judged.status = 'RUNNING'
    RETURNING job.*, judged.status AS from_status, job.status AS to_status
);

-- name: cancel
-- cancel: of these ids, those whose own row permits it. A job that was RUNNING keeps its worker:
-- it still holds what it held until it has stopped.
locked AS MATERIALIZED (
    SELECT id, status, cancellable_in FROM job
    WHERE id = ANY(:ids) AND (CAST(:owner AS bigint) IS NULL OR created_by = :owner)
    ORDER BY id FOR NO KEY UPDATE
    SKIP LOCKED -- if free_only
), moved AS (
    UPDATE job SET
        status = 'CANCELLING', held_until = NULL, modified_by = :user_id, modified_at = moment()
    FROM locked
    WHERE job.id = locked.id
        AND (locked.status = 'SCHEDULED'
            OR locked.status IN ('QUEUEING', 'QUEUED', 'RUNNING')
                AND locked.status = ANY(locked.cancellable_in))
        AND (locked.status <> 'RUNNING' OR :running_allowed)
    RETURNING job.id, locked.status AS from_status, job.status AS to_status, job.attempt,
        job.evidence, job.error
);

-- name: settle
-- settle: the one way out of CANCELLING. A job settles when it holds no worker (it never ran, or
-- its last run is long over), when its worker has said how the run stopped, or when its worker is
-- lost, as rescue judges it.
locked AS MATERIALIZED (
    SELECT id, status FROM job
    WHERE status = 'CANCELLING'
        AND (worker IS NULL OR evidence IS NOT NULL OR
            (lease_expires_at <= moment() OR lease_expires_at = timestamptz '9999-01-01')
                AND NOT EXISTS (SELECT 1 FROM worker_lease WHERE worker_lease.worker = job.worker))
    ORDER BY id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
), moved AS (
    UPDATE job SET
        status = 'CANCELLED',
        evidence = coalesce(
            evidence, CASE WHEN worker IS NULL THEN 'NEVER_STARTED' ELSE 'WORKER_LOST' END),
        finished_at = moment(), worker = NULL, lease_expires_at = NULL,
        modified_by = :user_id, modified_at = moment()
    FROM locked
    WHERE job.id = locked.id AND locked.status = 'CANCELLING'
    RETURNING job.id, locked.status AS from_status, job.status AS to_status, job.attempt,
        job.evidence, job.error
);

-- name: miss
-- miss: occurrences that were found too late.
locked AS MATERIALIZED (
    SELECT id, status FROM job WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE
), moved AS (
    UPDATE job SET
        status = 'MISSED_SCHEDULE', finished_at = moment(),
        modified_by = :user_id, modified_at = moment()
    FROM locked
    WHERE job.id = locked.id AND locked.status = 'SCHEDULED'
    RETURNING job.id, locked.status AS from_status, job.status AS to_status, job.attempt,
        job.evidence, job.error
);

-- name: fail
-- fail: due jobs whose name no live worker has known for so long, nor, of the version before, their
-- processor.
-- It goes from one queued name to the next, and looks at the jobs of the unknown ones alone. What is
-- held was due when it was started: its hold ended long ago, too.
queued AS MATERIALIZED (
    WITH RECURSIVE queued (name) AS (
        (SELECT job_metadata FROM job WHERE status = 'QUEUED' ORDER BY job_metadata LIMIT 1)
        UNION ALL
        SELECT (
            SELECT job_metadata FROM job WHERE status = 'QUEUED' AND job_metadata > queued.name
            ORDER BY job_metadata LIMIT 1)
        FROM queued WHERE name IS NOT NULL)
    SELECT name FROM queued WHERE name IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM known_job
        WHERE known_job.name = queued.name
            AND known_job.seen_at > moment() - CAST(:unknown AS interval))
), late AS MATERIALIZED (
    SELECT first.* FROM queued, generate_series(1, 100) AS at (priority), LATERAL (
        SELECT id, job_metadata, processor FROM job
        WHERE status = 'QUEUED' AND job_metadata = queued.name AND job.priority = at.priority
            AND run_at <= moment() - CAST(:unknown AS interval)
        ORDER BY run_at, id LIMIT :limit) AS first
    UNION ALL
    SELECT id, job_metadata, processor FROM job
    WHERE status = 'SCHEDULED' AND run_at <= moment() - CAST(:unknown AS interval)
    UNION ALL
    SELECT id, job_metadata, processor FROM job
    WHERE status = 'QUEUEING' AND run_at <= moment() - CAST(:unknown AS interval)
        AND held_until <= moment() - CAST(:unknown AS interval) + CAST(:hold_max AS interval)
), unknown AS MATERIALIZED (
    SELECT id FROM late
    WHERE NOT EXISTS (
            SELECT 1 FROM processor
            WHERE processor.name = late.processor
                AND processor.seen_at > moment() - CAST(:unknown AS interval))
        AND NOT EXISTS (
            SELECT 1 FROM known_job
            WHERE known_job.name = late.job_metadata
                AND known_job.seen_at > moment() - CAST(:unknown AS interval))
    LIMIT :limit
), locked AS MATERIALIZED (
    SELECT id, status FROM job
    WHERE status IN ('SCHEDULED', 'QUEUEING', 'QUEUED') AND id = ANY(ARRAY(SELECT id FROM unknown))
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
), moved AS (
    UPDATE job SET
        status = 'FAILED_TO_RUN', finished_at = moment(), held_until = NULL,
        error = 'No live worker has known the job ' || job_metadata || ' for '
            || CAST(:unknown AS interval) || '.',
        modified_by = :user_id, modified_at = moment()
    FROM locked
    WHERE job.id = locked.id AND locked.status IN ('SCHEDULED', 'QUEUEING', 'QUEUED')
    RETURNING job.*, locked.status AS from_status, job.status AS to_status
);
