-- The statements of the SQLite store; what is the same for every database is in sql/shared.sql. Sets travel as JSON arrays (json_each); :now is the
-- store's clock in milliseconds. A move is one UPDATE whose WHERE decides; it returns the rows it
-- moved, and `record` writes their events in the same transaction.

-- name: submit
-- submit: inserts new jobs in the order given, each due (QUEUED) or not yet (SCHEDULED). Where a
-- job holds the unique key, none is inserted.
INSERT INTO job (
    job_metadata, title, status, method, priority, parameters, queue, processor, cancellable_in,
    grace_seconds, timeout_seconds, inactivity_seconds, idempotent, attempts_max, retry_seconds,
    interrupt_seconds, terminate_seconds, unique_key, created_by, created_at, modified_by,
    modified_at, run_at, queued_at)
SELECT
    value ->> 'job_metadata', value ->> 'title',
    iif((value ->> 'run_at') > :now, 'SCHEDULED', 'QUEUED'),
    value ->> 'method', value ->> 'priority', value ->> 'parameters', value ->> 'queue',
    value ->> 'processor', value ->> 'cancellable_in', value ->> 'grace_seconds',
    value ->> 'timeout_seconds', value ->> 'inactivity_seconds', value ->> 'idempotent',
    value ->> 'attempts_max', value ->> 'retry_seconds',
    value ->> 'interrupt_seconds', value ->> 'terminate_seconds', value ->> 'unique_key',
    :user_id, :now, :user_id, :now,
    coalesce(value ->> 'run_at', :now),
    iif((value ->> 'run_at') > :now, NULL, :now)
FROM json_each(:jobs)
WHERE NOT EXISTS (
    -- Their ids would be used up in vain.
    SELECT 1 FROM job
    WHERE job_metadata = value ->> 'job_metadata' AND unique_key = value ->> 'unique_key'
        AND unique_key IS NOT NULL AND status IN ('SCHEDULED', 'QUEUEING', 'QUEUED', 'RUNNING'))
ORDER BY key
ON CONFLICT (job_metadata, unique_key)
    WHERE unique_key IS NOT NULL AND status IN ('SCHEDULED', 'QUEUEING', 'QUEUED', 'RUNNING')
    DO NOTHING
RETURNING id, status;

-- name: rerun
-- submit, of jobs that are there already: their names, parameters, titles and priorities, all else from
-- today's metadata. Taking back a cancel, it keeps whose job it is, its run date if that lies ahead, and
-- its unique key; where that is taken, or the job was undone already, none is inserted.
INSERT INTO job (
    job_metadata, title, status, method, priority, parameters, queue, processor, cancellable_in,
    grace_seconds, timeout_seconds, inactivity_seconds, idempotent, attempts_max, retry_seconds,
    interrupt_seconds, terminate_seconds, unique_key, created_by, created_at, modified_by,
    modified_at, run_at, queued_at, rerun_of, undo)
SELECT
    old.job_metadata, old.title, iif(:undo AND old.run_at > :now, 'SCHEDULED', 'QUEUED'), 'POST',
    old.priority, old.parameters, today.queue, today.processor, today.cancellable_in,
    today.grace_seconds, today.timeout_seconds, today.inactivity_seconds, today.idempotent,
    today.attempts_max, today.retry_seconds, today.interrupt_seconds, today.terminate_seconds,
    iif(:undo, old.unique_key, NULL), iif(:undo, old.created_by, :user_id), :now, :user_id, :now,
    iif(:undo, max(old.run_at, :now), :now), iif(:undo AND old.run_at > :now, NULL, :now),
    old.id, :undo
FROM job AS old JOIN job_metadata AS today ON today.name = old.job_metadata
WHERE old.id IN (SELECT value FROM json_each(:ids))
    AND (old.finished_at IS NOT NULL OR :undo AND old.status = 'CANCELLING')
ORDER BY old.id
ON CONFLICT DO NOTHING
RETURNING id, status, rerun_of;

-- name: start
-- start: scheduled jobs run now; with a hold they wait in QUEUEING first.
UPDATE job SET
    previous_status = status,
    status = iif(:hold > 0, 'QUEUEING', 'QUEUED'),
    held_until = iif(:hold > 0, :now + :hold, NULL),
    queued_at = iif(:hold > 0, NULL, :now),
    run_at = min(run_at, :now),
    modified_by = :user_id, modified_at = :now
WHERE id IN (SELECT value FROM json_each(:ids))
    AND status = 'SCHEDULED' AND (:owner IS NULL OR created_by = :owner)
RETURNING id, status;

-- name: stage
-- stage: scheduled jobs whose time has come.
UPDATE job SET
    previous_status = status, status = 'QUEUED', queued_at = :now,
    modified_by = :user_id, modified_at = :now
WHERE id IN (
    SELECT id FROM job WHERE status = 'SCHEDULED' AND run_at <= :now
    ORDER BY run_at, id LIMIT :limit)
    AND status = 'SCHEDULED'
RETURNING id, status;

-- name: queue
-- queue: jobs whose start hold has passed.
UPDATE job SET
    previous_status = status, status = 'QUEUED', queued_at = :now, held_until = NULL,
    modified_by = :user_id, modified_at = :now
WHERE id IN (
    SELECT id FROM job WHERE status = 'QUEUEING' AND held_until <= :now
    ORDER BY held_until, id LIMIT :limit)
    AND status = 'QUEUEING'
RETURNING id, status;

-- name: claim
-- claim: the first queued jobs, by priority, run date and id, that this worker can run.
-- lease_expires_at stays NULL: on SQLite the owner of the file is the only keeper of leases, so
-- they last while it lives (a laptop may sleep) and the next owner ends them.
UPDATE job SET
    previous_status = status, status = 'RUNNING', attempt = attempt + 1,
    worker = :worker, started_at = :now, evidence = NULL, error = NULL, drained = 0,
    progress_done = NULL, progress_total = NULL,
    modified_by = :user_id, modified_at = :now
WHERE id IN (
    SELECT job.id FROM json_each(:names) AS name CROSS JOIN job ON job.id IN (
        SELECT id FROM job WHERE status = 'QUEUED' AND job_metadata = name.value
        ORDER BY priority, run_at, id LIMIT :limit)
    ORDER BY priority, run_at, job.id LIMIT :limit)
    AND status = 'QUEUED'
RETURNING *;

-- name: finish
-- finish: runs that ended. The worker and the attempt fence out the writes of an earlier run;
-- the status fences out the writes of a run whose cancel was accepted.
UPDATE job SET
    previous_status = job.status, status = e.value ->> 'status',
    evidence = e.value ->> 'evidence', error = e.value ->> 'error', result = e.value ->> 'result',
    finished_at = :now, worker = NULL, lease_expires_at = NULL,
    modified_by = :user_id, modified_at = :now
FROM json_each(:ends) AS e
WHERE job.id = e.value ->> 'id' AND job.attempt = e.value ->> 'attempt'
    AND job.status = 'RUNNING' AND job.worker = :worker
RETURNING id, status;

-- name: retry
-- retry: runs whose code raised, to be tried again later.
UPDATE job SET
    previous_status = job.status, status = 'SCHEDULED', failures = failures + 1,
    evidence = e.value ->> 'evidence', error = e.value ->> 'error',
    run_at = :now + (e.value ->> 'delay_milliseconds'), queued_at = NULL,
    worker = NULL, lease_expires_at = NULL,
    modified_by = :user_id, modified_at = :now
FROM json_each(:retries) AS e
WHERE job.id = e.value ->> 'id' AND job.attempt = e.value ->> 'attempt'
    AND job.status = 'RUNNING' AND job.worker = :worker
RETURNING id, status;

-- name: rescue
-- rescue: running jobs that were given back, or whose lease is over. What was certainly not started is
-- queued again; so is what may be started again, within its bound. Anything else ends with an error
-- that says so.
UPDATE job SET
    previous_status = status,
    status = iif(again, 'QUEUED', 'ERRORS_ENCOUNTERED'),
    evidence = coalesce(evidence, 'WORKER_LOST'),
    failures = judged.failures, drained = 0,
    queued_at = iif(again, :now, queued_at),
    finished_at = iif(again, NULL, :now),
    error = CASE
        WHEN unentered THEN NULL
        WHEN drained AND again
        THEN 'Its worker was told to stop, by a deploy perhaps, and stopped it: it is started again.'
        WHEN drained
        THEN 'Its worker was told to stop, by a deploy perhaps, and stopped it. It is not idempotent: it is not started again.'
        WHEN again
        THEN 'The worker was lost or gave the job up (failure ' || judged.failures || ' of ' || failures_max || '): it is started again.'
        WHEN failures_max > 0
        THEN 'The worker was lost or gave the job up (failure ' || judged.failures || ' of ' || failures_max || '): it is not started again.'
        ELSE 'The worker was lost or gave the job up, and the job is not idempotent: it is not started again.'
        END,
    worker = NULL, lease_expires_at = NULL,
    modified_by = :user_id, modified_at = :now
FROM (
    SELECT *, unentered OR failures < failures_max AS again FROM (
        SELECT
            id AS job_id, evidence IS 'NEVER_STARTED' AS unentered,
            failures + iif(drained OR evidence IS 'NEVER_STARTED', 0, 1) AS failures,
            CASE WHEN attempts_max > 1 THEN attempts_max WHEN idempotent THEN :losses_max ELSE 0 END
                AS failures_max
        FROM job INDEXED BY job_held
        WHERE worker IS NOT NULL AND status = 'RUNNING' AND lease_expires_at <= :now
        LIMIT :limit)) AS judged
WHERE job.id = job_id AND status = 'RUNNING' AND lease_expires_at <= :now
RETURNING *;

-- name: cancel
-- cancel: of these ids, those whose own row permits it. A job that was RUNNING keeps its worker:
-- it still holds what it held until it has stopped.
UPDATE job SET
    previous_status = status, status = 'CANCELLING', held_until = NULL,
    modified_by = :user_id, modified_at = :now
WHERE id IN (SELECT value FROM json_each(:ids))
    AND (status = 'SCHEDULED'
        OR status IN ('QUEUEING', 'QUEUED', 'RUNNING')
            AND instr(cancellable_in, '"' || status || '"') > 0)
    AND (status <> 'RUNNING' OR :running_allowed)
    AND (:owner IS NULL OR created_by = :owner)
RETURNING id, status;

-- name: settle
-- settle: the one way out of CANCELLING. A job settles when it holds no worker (it never ran, or
-- its last run is long over), when its worker has said how the run stopped, or when its lease
-- is over.
UPDATE job SET
    previous_status = status, status = 'CANCELLED',
    evidence = coalesce(evidence, iif(worker IS NULL, 'NEVER_STARTED', 'WORKER_LOST')),
    finished_at = :now, worker = NULL, lease_expires_at = NULL,
    modified_by = :user_id, modified_at = :now
WHERE id IN (
    SELECT id FROM job
    WHERE status = 'CANCELLING'
        AND (worker IS NULL OR evidence IS NOT NULL OR lease_expires_at <= :now)
    ORDER BY id LIMIT :limit)
    AND status = 'CANCELLING'
RETURNING id, status;

-- name: miss
-- miss: occurrences that were found too late.
UPDATE job SET
    previous_status = status, status = 'MISSED_SCHEDULE', finished_at = :now,
    modified_by = :user_id, modified_at = :now
WHERE id IN (SELECT value FROM json_each(:ids)) AND status = 'SCHEDULED'
RETURNING id, status;

-- name: fail
-- fail: due jobs whose name no live worker has known for so long, nor, of the version before, their
-- processor. It goes from one queued name to the next, and looks at the jobs of the unknown ones
-- alone. What is held was due when it was started: its hold ended long ago, too.
UPDATE job SET
    previous_status = status, status = 'FAILED_TO_RUN', finished_at = :now, held_until = NULL,
    error = 'No live worker has known the job ' || job_metadata || ' for '
        || (:unknown / 1000) || ' seconds.',
    modified_by = :user_id, modified_at = :now
WHERE id IN (
    WITH RECURSIVE queued (name) AS (
        SELECT min(job_metadata) FROM job WHERE status = 'QUEUED'
        UNION ALL
        SELECT (
            SELECT min(job_metadata) FROM job WHERE status = 'QUEUED' AND job_metadata > queued.name)
        FROM queued WHERE name IS NOT NULL
    ), unknown (name) AS (
        SELECT name FROM queued WHERE name IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM known_job
            WHERE known_job.name = queued.name AND known_job.seen_at > :now - :unknown)
    ), at (priority) AS (
        SELECT 1 UNION ALL SELECT priority + 1 FROM at WHERE priority < 100)
    SELECT late.id FROM (
        SELECT id, job_metadata, processor FROM unknown CROSS JOIN at CROSS JOIN job
        WHERE job.status = 'QUEUED' AND job.job_metadata = unknown.name
            AND job.priority = at.priority AND job.run_at <= :now - :unknown
        UNION ALL
        SELECT id, job_metadata, processor FROM job
        WHERE status = 'SCHEDULED' AND run_at <= :now - :unknown
        UNION ALL
        SELECT id, job_metadata, processor FROM job
        WHERE status = 'QUEUEING' AND run_at <= :now - :unknown
            AND held_until <= :now - :unknown + :hold_max) AS late
    WHERE NOT EXISTS (
            SELECT 1 FROM processor
            WHERE processor.name = late.processor
                AND processor.seen_at > :now - :unknown)
        AND NOT EXISTS (
            SELECT 1 FROM known_job
            WHERE known_job.name = late.job_metadata
                AND known_job.seen_at > :now - :unknown)
    LIMIT :limit)
    AND status IN ('SCHEDULED', 'QUEUEING', 'QUEUED')
RETURNING *;

-- name: record!
-- The events of the rows that a move has just moved. What ended an attempt, or kept it from ever
-- being made, says why; on the row it stands only until the next attempt.
INSERT INTO job_event (
    job_id, move, from_status, to_status, at, user_id, by, reason, request_id, attempt, evidence,
    error)
SELECT
    id, :move, previous_status, status, :now, :user_id, :by, :reason, :request_id, attempt,
    evidence, CASE WHEN :move IN ('finish', 'retry', 'rescue', 'fail') THEN error END
FROM job WHERE id IN (SELECT value FROM json_each(:moved))
ORDER BY id;

-- name: release
-- What runs that stopped without an ending are given back with. Not a move: afterwards settle
-- takes the CANCELLING ones and rescue the RUNNING ones.
UPDATE job SET
    evidence = e.value ->> 'evidence', drained = e.value ->> 'drained', lease_expires_at = 0
FROM json_each(:releases) AS e
WHERE job.id = e.value ->> 'id' AND job.attempt = e.value ->> 'attempt'
    AND job.worker = :worker AND job.status IN ('RUNNING', 'CANCELLING')
RETURNING id;

-- name: all_held
-- What workers of this file hold and have not given back.
SELECT id, attempt FROM job WHERE worker IS NOT NULL AND evidence IS NULL;

-- name: take_over!
-- The owner of this file has just taken it, so no worker of it lives: what it held is over, but for the
-- runs that may still go on.
UPDATE job SET lease_expires_at = 0
WHERE worker IS NOT NULL AND lease_expires_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM json_each(:going)
    WHERE value ->> 'id' = job.id AND value ->> 'attempt' = job.attempt);
DELETE FROM worker;

-- name: end_runs
-- Of runs that went on when this file was taken, those that do so no longer.
UPDATE job SET lease_expires_at = 0
FROM json_each(:runs) AS e
WHERE job.id = e.value ->> 'id' AND job.attempt = e.value ->> 'attempt'
    AND worker IS NOT NULL AND lease_expires_at IS NULL
RETURNING id;

-- name: write_progress
-- How far runs have come, unless they are no longer running.
UPDATE job SET progress_done = e.value ->> 'done', progress_total = e.value ->> 'total'
FROM json_each(:progresses) AS e
WHERE job.id = e.value ->> 'id' AND job.attempt = e.value ->> 'attempt'
    AND job.status = 'RUNNING' AND job.worker = :worker
RETURNING job.id, job.attempt;

-- name: schema_version
-- Which schema the file has.
SELECT user_version AS version FROM pragma_user_version;

-- name: check!
-- A real write that leaves nothing behind: a full disk or a read-only file fails here. What is
-- only set to what it is already, SQLite does not write.
INSERT INTO processor (name, seen_at) VALUES ('', :now);
DELETE FROM processor WHERE name = '';

-- name: append_log
-- Chunks, each behind the last of its job; none of a run that the worker does not hold any more.
INSERT INTO job_log (job_id, start_byte, bytes, text)
SELECT
    job.id,
    coalesce((
        SELECT start_byte + bytes FROM job_log
        WHERE job_id = job.id ORDER BY start_byte DESC LIMIT 1), 0)
    + coalesce(sum(e.value ->> 'bytes') OVER (PARTITION BY job.id ORDER BY key
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0),
    e.value ->> 'bytes', e.value ->> 'text'
FROM json_each(:chunks) AS e JOIN job ON job.id = e.value ->> 'id'
WHERE job.attempt = e.value ->> 'attempt' AND job.worker = :worker
ORDER BY key
ON CONFLICT DO NOTHING
RETURNING job_id;

-- name: trim_log!
-- Keep the heads and the tails of these jobs' logs.
DELETE FROM job_log WHERE rowid IN (
    SELECT job_log.rowid
    FROM (
        SELECT value AS id, (
            SELECT start_byte + bytes FROM job_log
            WHERE job_id = value ORDER BY start_byte DESC LIMIT 1) AS ends_at
        FROM json_each(:ids)) AS logged
    JOIN job_log ON job_id = logged.id
        AND start_byte >= :head_bytes AND start_byte < logged.ends_at - :tail_bytes);

-- name: running
-- Of these jobs, those that the worker runs and nobody has cancelled.
SELECT id, attempt FROM job
WHERE id IN (SELECT value FROM json_each(:ids)) AND worker = :worker AND status = 'RUNNING';

-- name: next_due
-- When the scheduler has something to do next.
SELECT :now AS now, min(at) AS at FROM (
    SELECT min(run_at) AS at FROM job WHERE status = 'SCHEDULED'
    UNION ALL
    SELECT min(held_until) FROM job WHERE status = 'QUEUEING');

-- name: next_lease_end
-- When the rescuer has something to do next.
SELECT :now AS now, min(lease_expires_at) AS at
FROM job INDEXED BY job_held WHERE worker IS NOT NULL AND status = 'RUNNING';

-- name: statuses
-- Where these jobs stand, as far as the caller may see them.
SELECT id, status FROM job
WHERE id IN (SELECT value FROM json_each(:ids)) AND (:owner IS NULL OR created_by = :owner);

-- name: hold
-- Of these jobs, as far as the caller may see them, those that nobody else holds: all.
SELECT id FROM job
WHERE id IN (SELECT value FROM json_each(:ids)) AND (:owner IS NULL OR created_by = :owner);

-- name: job
-- One whole row, if the owner, when given, submitted it.
SELECT * FROM job WHERE id = :job_id AND (:owner IS NULL OR created_by = :owner);

-- name: latest_jobs
-- Whole rows, newest first, below an id.
SELECT * FROM job WHERE id < :below
    AND created_by = :owner -- if owner
ORDER BY id DESC LIMIT :limit;

-- name: histories
-- A page of the finished jobs, newest first, along their ids: for when the newest are among them:
-- the plus keeps them from being looked for by their end.
SELECT
    id, title, status, created_by, created_at, modified_by, modified_at, run_at, started_at,
    finished_at
FROM job
WHERE finished_at IS NOT NULL
    AND +finished_at >= :since -- if since
    AND status = :status -- if status
ORDER BY id DESC LIMIT :limit OFFSET :offset;

-- name: selected_again
-- The same rows as they are now, by their ids.
SELECT {columns} FROM ({rows}) AS found WHERE id IN (SELECT value FROM json_each(:ids));

-- name: keep_cursor!
-- The ids of a query that has more than one page.
INSERT INTO query_cursor (id, user_id, description, ids, used_at)
VALUES (:id, :user_id, :description, :ids, :now);

-- name: forget_cursors!
-- Of a user, all but the last few that were used.
DELETE FROM query_cursor WHERE id IN (
    SELECT id FROM query_cursor WHERE user_id = :user_id
    ORDER BY used_at DESC, id LIMIT -1 OFFSET :most);

-- name: cursor
-- A page of a query is asked for: it is used, if it has been lately.
UPDATE query_cursor SET used_at = :now
WHERE id = :id AND user_id = :user_id AND used_at > :now - :age
RETURNING description, ids;

-- name: prune_cursors
-- Queries whose pages nobody has asked for in a while.
DELETE FROM query_cursor WHERE id IN (
    SELECT id FROM query_cursor WHERE used_at <= :now - :age LIMIT :limit)
RETURNING user_id;

-- name: unique_holders
-- The jobs that hold these unique keys, and whether the reader may read them.
SELECT job.id, job_metadata, unique_key, (:reader IS NULL OR created_by = :reader) AS readable
FROM json_each(:keys) AS given JOIN job
    ON job_metadata = given.value ->> 'job_metadata' AND unique_key = given.value ->> 'unique_key'
WHERE unique_key IS NOT NULL AND status IN ('SCHEDULED', 'QUEUEING', 'QUEUED', 'RUNNING');

-- name: judge_rerun
-- What decides whether these jobs, as far as the caller may see them, are submitted anew. Once one may
-- be, none of this changes but by what uses it up: its undo.
SELECT
    job.id, job.status, job.evidence,
    CASE WHEN job.evidence IS NOT 'NEVER_STARTED' THEN ( -- if undo
        SELECT from_status FROM job_event WHERE job_id = job.id AND move = 'cancel') -- if undo
    END AS cancelled_in, -- if undo
    (SELECT again.id FROM job AS again WHERE again.rerun_of = job.id AND again.undo) -- if undo
        AS undone_by, -- if undo
    EXISTS (SELECT 1 FROM job_metadata WHERE name = job.job_metadata) AS known
FROM job
WHERE job.id IN (SELECT value FROM json_each(:ids)) AND (:owner IS NULL OR created_by = :owner);

-- name: register_worker!
-- This worker lives.
INSERT INTO worker (id, host, pid, slots, started_at, seen_at, obstacles)
VALUES (:worker, :host, :pid, :slots, :now, :now, :obstacles)
ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, obstacles = excluded.obstacles;

-- name: unregister_worker!
-- This worker has ended.
DELETE FROM worker WHERE id = :worker;

-- name: forget_workers!
-- Workers that nobody has heard of for long.
DELETE FROM worker WHERE seen_at <= :now - :forgotten;

-- name: register_processors!
-- A live worker knows these processors.
INSERT INTO processor (name, seen_at) SELECT value, :now FROM json_each(:processors) WHERE true
ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at;

-- name: register_names!
-- A live worker knows jobs of these names.
INSERT INTO known_job (name, seen_at) SELECT value, :now FROM json_each(:names) WHERE true
ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at;

-- name: register_metadata!
-- What @job declares, as of now; jobs already submitted keep what they were submitted with.
INSERT INTO job_metadata (
    name, title, processor, queue, cancellable_in, grace_seconds, timeout_seconds,
    inactivity_seconds, idempotent, attempts_max, retry_seconds, interrupt_seconds,
    terminate_seconds)
SELECT
    value ->> 'name', value ->> 'title', value ->> 'processor', value ->> 'queue',
    value ->> 'cancellable_in', value ->> 'grace_seconds', value ->> 'timeout_seconds',
    value ->> 'inactivity_seconds', value ->> 'idempotent', value ->> 'attempts_max',
    value ->> 'retry_seconds', value ->> 'interrupt_seconds', value ->> 'terminate_seconds'
FROM json_each(:metadata) WHERE true
ON CONFLICT (name) DO UPDATE SET
    title = excluded.title, processor = excluded.processor, queue = excluded.queue,
    cancellable_in = excluded.cancellable_in, grace_seconds = excluded.grace_seconds,
    timeout_seconds = excluded.timeout_seconds, inactivity_seconds = excluded.inactivity_seconds,
    idempotent = excluded.idempotent, attempts_max = excluded.attempts_max,
    retry_seconds = excluded.retry_seconds, interrupt_seconds = excluded.interrupt_seconds,
    terminate_seconds = excluded.terminate_seconds;

-- name: unknown_queues
-- Of these queues, those that do not exist.
SELECT value AS name FROM json_each(:queues) WHERE value NOT IN (SELECT name FROM queue) ORDER BY value;

-- name: metadata
-- The job metadata of these names.
SELECT * FROM job_metadata WHERE name IN (SELECT value FROM json_each(:names));

-- name: add_user$
-- A new user; nothing when the name is taken.
INSERT INTO user_account (name, password_hash, permissions, active, created_at)
VALUES (:name, :password_hash, :permissions, 1, :now)
ON CONFLICT (name) DO NOTHING
RETURNING id;

-- name: user_by_name^
-- One user, with what signing in needs.
SELECT id, name, permissions, active, password_hash FROM user_account WHERE name = :name;

-- name: open_session
-- A new session, of a user who may still come in and has still this password.
INSERT INTO session (id_hash, user_id, created_at, seen_at)
SELECT :id_hash, id, :now, :now FROM user_account
WHERE id = :user_id AND active AND password_hash = :password_hash
RETURNING user_id;

-- name: session^
-- A session that still lives, and its user.
SELECT user_id AS id, name, permissions, active, session.created_at, seen_at
FROM session JOIN user_account ON user_account.id = user_id
WHERE id_hash = :id_hash AND active
    AND session.created_at > :now - :age AND seen_at > :now - :inactivity;

-- name: touch_session!
-- The session was used just now.
UPDATE session SET seen_at = :now WHERE id_hash = :id_hash;

-- name: outcome
-- The answer that is kept for a key.
SELECT request_hash, outcome FROM idempotency_key
WHERE user_id = :user_id AND method = :method AND path = :path AND key = :key
    AND created_at > :now - :age;

-- name: take_key
-- Whether nothing is kept for a key.
SELECT 1 AS free WHERE NOT EXISTS (
    SELECT 1 FROM idempotency_key
    WHERE user_id = :user_id AND method = :method AND path = :path AND key = :key
        AND created_at > :now - :age);

-- name: keep_outcome
-- The answer for a key, in the transaction that it tells of; one that is too old gives way.
INSERT INTO idempotency_key (user_id, method, path, key, request_hash, outcome, created_at)
VALUES (:user_id, :method, :path, :key, :request_hash, :outcome, :now)
ON CONFLICT (user_id, method, path, key) DO UPDATE SET
    request_hash = excluded.request_hash, outcome = excluded.outcome,
    created_at = excluded.created_at
WHERE idempotency_key.created_at <= :now - :age
RETURNING key;

-- name: prune_jobs
-- Jobs that finished long ago, with their events and logs.
DELETE FROM job WHERE id IN (
    SELECT id FROM job WHERE finished_at IS NOT NULL AND finished_at <= :now - :age
    ORDER BY finished_at, id LIMIT :limit)
RETURNING id;

-- name: prune_sessions
-- Sessions that are over in any case.
DELETE FROM session WHERE id_hash IN (
    SELECT id_hash FROM session WHERE created_at <= :now - :age
    ORDER BY created_at LIMIT :limit)
RETURNING user_id;

-- name: prune_keys
-- Answers that are kept no longer.
DELETE FROM idempotency_key WHERE (user_id, method, path, key) IN (
    SELECT user_id, method, path, key FROM idempotency_key WHERE created_at <= :now - :age
    ORDER BY created_at LIMIT :limit)
RETURNING user_id;

-- name: workers
-- The one process of the file has ended the workers before it.
SELECT id, host, pid, slots, started_at, seen_at, obstacles, 1 AS alive FROM worker
ORDER BY started_at, id;

-- name: obstacles
-- What keeps jobs of a name from being started: what workers say, or that none knows them (null).
-- General is what a worker says of every job.
SELECT id AS worker, obstacles ->> :name AS reason,
    obstacles ->> :name IS obstacles ->> '*' AS is_general
FROM worker WHERE obstacles ->> :name IS NOT NULL
UNION ALL
SELECT NULL, NULL, 0 WHERE NOT EXISTS (
    SELECT 1 FROM known_job WHERE name = :name AND seen_at > :now - :known)
ORDER BY worker;

-- name: user_names
-- The names of some users.
SELECT id, name FROM user_account WHERE id IN (SELECT value FROM json_each(:ids));

-- name: passages
-- How jobs came and went, by periods.
SELECT status, due, left_at AS "left", ended, count(*) AS total FROM (
    SELECT
        status,
        CASE WHEN max(created_at, run_at) < :since THEN -1
            ELSE (max(created_at, run_at) - :since) / :width END AS due,
        CASE WHEN coalesce(started_at, finished_at) < :since THEN -1
            ELSE (coalesce(started_at, finished_at) - :since) / :width END AS left_at,
        (finished_at - :since) / :width AS ended
    FROM (
        SELECT * FROM job WHERE finished_at >= :since
        UNION ALL {live}
    ) AS lately
) AS passages GROUP BY status, due, left_at, ended;
