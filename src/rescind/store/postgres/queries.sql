-- The statements of the PostgreSQL store but the moves (moves.sql), under the same names as
-- SQLite's; what is the same for every database is in sql/shared.sql.

-- name: record
-- The events of the rows that a move moved. What ended an attempt, or kept it from ever being
-- made, says why; on the row it stands only until the next attempt.
INSERT INTO job_event (
    job_id, move, from_status, to_status, at, user_id, by, reason, request_id, attempt, evidence,
    error)
SELECT
    id, :move, from_status, to_status, moment(), :user_id, :by, :reason, :request_id, attempt,
    evidence, CASE WHEN :move IN ('finish', 'retry', 'rescue', 'fail') THEN error END
FROM moved ORDER BY id;

-- name: moved
-- What a move says: the rows it moved and where to.
SELECT id, to_status AS status FROM moved ORDER BY id;

-- name: moved_jobs
-- The same, where a move returns whole jobs: by name, since with the next program's columns it says the
-- same.
SELECT {columns} FROM moved ORDER BY id;

-- name: moved_reruns
-- The same, where jobs are submitted anew.
SELECT id, to_status AS status, rerun_of FROM moved ORDER BY id;

-- name: plan_freely
-- Until the transaction ends, statements are planned for what is asked for; see database.py.
SELECT
    set_config('plan_cache_mode', 'auto', true), set_config('enable_seqscan', 'on', true),
    set_config('enable_hashjoin', 'on', true), set_config('enable_mergejoin', 'on', true);

-- name: now
-- The store's clock.
SELECT moment() AS now;

-- name: schema_version
-- Which schema the database has.
SELECT version FROM schema_version;

-- name: check!
-- A real write, of what is so already.
UPDATE schema_version SET version = version;

-- name: statuses
-- Where these jobs stand, as far as the caller may see them.
SELECT id, status FROM job
WHERE id = ANY(:ids) AND (CAST(:owner AS bigint) IS NULL OR created_by = :owner);

-- name: hold
-- Of these jobs, as far as the caller may see them, those that nobody else holds: held from now on.
SELECT id FROM job
WHERE id = ANY(:ids) AND (CAST(:owner AS bigint) IS NULL OR created_by = :owner)
ORDER BY id FOR NO KEY UPDATE SKIP LOCKED;

-- name: release
-- What runs that stopped without an ending are given back with. Not a move: afterwards settle
-- takes the CANCELLING ones and rescue the RUNNING ones.
WITH released AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(CAST(:releases AS jsonb)) AS e (
        id bigint, attempt integer, evidence text, drained boolean)
), locked AS MATERIALIZED (
    SELECT job.id FROM job JOIN released USING (id) ORDER BY job.id FOR NO KEY UPDATE OF job
)
UPDATE job SET
    evidence = released.evidence, drained = released.drained, lease_expires_at = 'epoch'
FROM locked JOIN released USING (id)
WHERE job.id = locked.id AND job.attempt = released.attempt
    AND job.worker = :worker AND job.status IN ('RUNNING', 'CANCELLING')
RETURNING job.id;

-- name: write_progress
-- How far runs have come, unless they are no longer running; but for those of rows that somebody else
-- holds just now: they must not hold up the others.
WITH given AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(CAST(:progresses AS jsonb)) AS e (
        id bigint, attempt integer, done bigint, total bigint)
), locked AS MATERIALIZED (
    SELECT job.id FROM job JOIN given USING (id) ORDER BY job.id
    FOR NO KEY UPDATE OF job SKIP LOCKED
)
UPDATE job SET progress_done = given.done, progress_total = given.total
FROM locked JOIN given USING (id)
WHERE job.id = locked.id AND job.attempt = given.attempt
    AND job.status = 'RUNNING' AND job.worker = :worker
RETURNING job.id, job.attempt;

-- name: lease!
-- A worker's lease begins.
INSERT INTO worker_lease (worker, expires_at) VALUES (:worker, moment() + CAST(:lease AS interval))
ON CONFLICT (worker) DO UPDATE SET expires_at = excluded.expires_at;

-- name: renew
-- A lease that is not over lasts anew.
UPDATE worker_lease SET expires_at = moment() + CAST(:lease AS interval)
WHERE worker = :worker AND expires_at > moment()
RETURNING worker;

-- name: end_leases
-- Leases that are over end: from now on they cannot be renewed. One that is being renewed is not over.
DELETE FROM worker_lease WHERE worker IN (
    SELECT worker FROM worker_lease WHERE expires_at <= moment() FOR UPDATE SKIP LOCKED)
    AND expires_at <= moment()
RETURNING worker;

-- name: append_log
-- Chunks, each behind the last of its job; none of a run that the worker does not hold any more.
WITH given AS MATERIALIZED (
    SELECT * FROM ROWS FROM (jsonb_to_recordset(CAST(:chunks AS jsonb)) AS (
        id bigint, attempt integer, bytes integer, text text)) WITH ORDINALITY AS given (
        id, attempt, bytes, text, position)
)
INSERT INTO job_log (job_id, start_byte, bytes, text)
SELECT
    given.id,
    coalesce((
        SELECT start_byte + job_log.bytes FROM job_log
        WHERE job_id = given.id ORDER BY start_byte DESC LIMIT 1), 0)
    + coalesce(sum(given.bytes) OVER (PARTITION BY given.id ORDER BY position
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0),
    given.bytes, given.text
FROM given JOIN job ON job.id = given.id
WHERE job.attempt = given.attempt AND job.worker = :worker
ORDER BY position
ON CONFLICT DO NOTHING
RETURNING job_id;

-- name: trim_log!
-- Keep the heads and the tails of these jobs' logs.
DELETE FROM job_log USING (
    SELECT id, (
        SELECT start_byte + bytes FROM job_log
        WHERE job_id = id ORDER BY start_byte DESC LIMIT 1) AS ends_at
    FROM unnest(CAST(:ids AS bigint[])) AS id) AS logged
WHERE job_id = logged.id
    AND start_byte >= :head_bytes AND start_byte < logged.ends_at - :tail_bytes;

-- name: running
-- Of these jobs, those that the worker runs and nobody has cancelled.
SELECT id, attempt FROM job
WHERE id = ANY(:ids) AND worker = :worker AND status = 'RUNNING';

-- name: next_due
-- When the scheduler has something to do next.
SELECT moment() AS now, least(
    (SELECT min(run_at) FROM job WHERE status = 'SCHEDULED'),
    (SELECT min(held_until) FROM job WHERE status = 'QUEUEING')) AS at;

-- name: next_lease_end
-- When the rescuer has something to do next.
SELECT moment() AS now, least(
    (SELECT min(expires_at) FROM worker_lease),
    (SELECT min(lease_expires_at) FROM job
        WHERE worker IS NOT NULL AND status = 'RUNNING'
            AND lease_expires_at < timestamptz '9999-01-01')) AS at;

-- name: job
-- One whole row, if the owner, when given, submitted it.
SELECT * FROM job WHERE id = :job_id AND (CAST(:owner AS bigint) IS NULL OR created_by = :owner);

-- name: latest_jobs
-- Whole rows, newest first, below an id.
SELECT * FROM (
    SELECT * FROM job WHERE status <> 'CANCELLING' UNION ALL
    SELECT * FROM job WHERE status = 'CANCELLING') AS every
WHERE id < :below
    AND created_by = :owner -- if owner
ORDER BY id DESC LIMIT :limit;

-- name: histories
-- A page of the finished jobs, newest first, along their ids: for when the newest are among them.
SELECT
    id, title, status, created_by, created_at, modified_by, modified_at, run_at, started_at,
    finished_at
FROM job
WHERE finished_at IS NOT NULL
    AND finished_at >= :since -- if since
    AND status = :status -- if status
ORDER BY id DESC LIMIT :limit OFFSET :offset;

-- name: selected_again
-- The same rows as they are now, by their ids.
SELECT {columns} FROM ({rows}) AS found WHERE id = ANY(:ids);

-- name: limit_statement
-- The statements of this transaction may take so long.
SELECT set_config('statement_timeout', :milliseconds, true);

-- name: limit_wait
-- The statements of this transaction may wait so long for what others hold.
SELECT set_config('lock_timeout', :milliseconds, true);

-- name: keep_cursor!
-- The ids of a query that has more than one page.
INSERT INTO query_cursor (id, user_id, description, ids, used_at)
VALUES (:id, :user_id, :description, :ids, moment());

-- name: forget_cursors!
-- Of a user, all but the last few that were used.
DELETE FROM query_cursor WHERE id IN (
    SELECT id FROM query_cursor WHERE user_id = :user_id
    ORDER BY used_at DESC, id LIMIT ALL OFFSET :most);

-- name: cursor
-- A page of a query is asked for: it is used, if it has been lately.
UPDATE query_cursor SET used_at = moment()
WHERE id = :id AND user_id = :user_id AND used_at > moment() - CAST(:age AS interval)
RETURNING description, ids;

-- name: prune_cursors
-- Queries whose pages nobody has asked for in a while.
DELETE FROM query_cursor WHERE id IN (
    SELECT id FROM query_cursor WHERE used_at <= moment() - CAST(:age AS interval) LIMIT :limit)
RETURNING user_id;

-- name: unique_holders
-- The jobs that hold these unique keys, and whether the reader may read them.
SELECT
    job.id, job_metadata, unique_key,
    CAST(:reader AS bigint) IS NULL OR created_by = :reader AS readable
FROM jsonb_to_recordset(CAST(:keys AS jsonb)) AS given (job_metadata text, unique_key text)
JOIN job USING (job_metadata, unique_key)
WHERE unique_key IS NOT NULL AND status IN ('SCHEDULED', 'QUEUEING', 'QUEUED', 'RUNNING');

-- name: judge_rerun
-- What decides whether these jobs, as far as the caller may see them, are submitted anew. Once one may
-- be, none of this changes but by what uses it up: its undo.
SELECT
    job.id, job.status, job.evidence,
    CASE WHEN job.evidence IS DISTINCT FROM 'NEVER_STARTED' THEN ( -- if undo
        SELECT from_status FROM job_event WHERE job_id = job.id AND move = 'cancel') -- if undo
    END AS cancelled_in, -- if undo
    (SELECT again.id FROM job AS again WHERE again.rerun_of = job.id AND again.undo) -- if undo
        AS undone_by, -- if undo
    EXISTS (SELECT 1 FROM job_metadata WHERE name = job.job_metadata) AS known
FROM job WHERE job.id = ANY(:ids) AND (CAST(:owner AS bigint) IS NULL OR created_by = :owner);

-- name: register_worker!
-- This worker lives.
INSERT INTO worker (id, host, pid, slots, started_at, seen_at, obstacles)
VALUES (:worker, :host, :pid, :slots, moment(), moment(), :obstacles)
ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, obstacles = excluded.obstacles;

-- name: unregister_worker!
-- This worker has ended. Its lease ends with it, unless something of it may still run.
WITH given_up AS (
    DELETE FROM worker_lease WHERE worker = :worker AND NOT EXISTS (
        SELECT 1 FROM job WHERE job.worker = :worker AND evidence IS NULL)
)
DELETE FROM worker WHERE id = :worker;

-- name: forget_workers!
-- Workers that nobody has heard of for long.
DELETE FROM worker WHERE id IN (
    SELECT id FROM worker WHERE seen_at <= moment() - CAST(:forgotten AS interval)
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED);

-- name: register_processors!
-- A live worker knows these processors; in name order, so that two workers cannot deadlock.
INSERT INTO processor (name, seen_at)
SELECT name, moment() FROM unnest(CAST(:processors AS text[])) AS name ORDER BY name
ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at;

-- name: register_names!
-- A live worker knows jobs of these names; in name order, as above.
INSERT INTO known_job (name, seen_at)
SELECT name, moment() FROM unnest(CAST(:names AS text[])) AS name ORDER BY name
ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at;

-- name: register_metadata!
-- What @job declares, as of now; jobs already submitted keep what they were submitted with.
INSERT INTO job_metadata (
    name, title, processor, queue, cancellable_in, grace_seconds, timeout_seconds,
    inactivity_seconds, idempotent, attempts_max, retry_seconds, interrupt_seconds,
    terminate_seconds)
SELECT
    name, title, processor, queue, cancellable_in, grace_seconds, timeout_seconds,
    inactivity_seconds, idempotent, attempts_max, retry_seconds, interrupt_seconds,
    terminate_seconds
FROM jsonb_to_recordset(CAST(:metadata AS jsonb)) AS m (
    name text, title text, processor text, queue text, cancellable_in text[],
    grace_seconds double precision, timeout_seconds double precision,
    inactivity_seconds double precision, idempotent boolean, attempts_max integer,
    retry_seconds double precision, interrupt_seconds double precision,
    terminate_seconds double precision)
ORDER BY name
ON CONFLICT (name) DO UPDATE SET
    title = excluded.title, processor = excluded.processor, queue = excluded.queue,
    cancellable_in = excluded.cancellable_in, grace_seconds = excluded.grace_seconds,
    timeout_seconds = excluded.timeout_seconds, inactivity_seconds = excluded.inactivity_seconds,
    idempotent = excluded.idempotent, attempts_max = excluded.attempts_max,
    retry_seconds = excluded.retry_seconds, interrupt_seconds = excluded.interrupt_seconds,
    terminate_seconds = excluded.terminate_seconds;

-- name: unknown_queues
-- Of these queues, those that do not exist.
SELECT name FROM unnest(CAST(:queues AS text[])) AS name
WHERE name NOT IN (SELECT name FROM queue) ORDER BY name;

-- name: metadata
-- The job metadata of these names.
SELECT * FROM job_metadata WHERE name = ANY(:names);

-- name: add_user
-- A new user; nothing when the name is taken.
INSERT INTO user_account (name, password_hash, permissions, active, created_at)
VALUES (:name, :password_hash, :permissions, true, moment())
ON CONFLICT (lower(name)) DO NOTHING
RETURNING id;

-- name: user_by_name
-- One user, with what signing in needs.
SELECT id, name, permissions, active, password_hash FROM user_account
WHERE lower(name) = lower(:name);

-- name: open_session
-- A new session, of a user who may still come in and has still this password. The row is held, so
-- that whoever changes it meanwhile ends this session too.
INSERT INTO session (id_hash, user_id, created_at, seen_at)
SELECT :id_hash, id, moment(), moment() FROM user_account
WHERE id = :user_id AND active AND password_hash = :password_hash
FOR NO KEY UPDATE
RETURNING user_id;

-- name: session
-- A session that still lives, and its user.
SELECT user_id AS id, name, permissions, active, session.created_at, seen_at
FROM session JOIN user_account ON user_account.id = user_id
WHERE id_hash = :id_hash AND active
    AND session.created_at > moment() - CAST(:age AS interval)
    AND seen_at > moment() - CAST(:inactivity AS interval);

-- name: touch_session!
-- The session was used just now.
UPDATE session SET seen_at = moment() WHERE id_hash = :id_hash;

-- name: outcome
-- The answer that is kept for a key.
SELECT request_hash, outcome FROM idempotency_key
WHERE user_id = :user_id AND method = :method AND path = :path AND key = :key
    AND created_at > moment() - CAST(:age AS interval);

-- name: take_key
-- Whether nothing is kept for a key, and nobody else is about to: held until the transaction ends.
SELECT 1 AS free WHERE NOT EXISTS (
    SELECT 1 FROM idempotency_key
    WHERE user_id = :user_id AND method = :method AND path = :path AND key = :key
        AND created_at > moment() - CAST(:age AS interval))
    AND pg_try_advisory_xact_lock(hashtextextended(
        concat_ws(E'\n', CAST(:user_id AS text), :method, :path, :key), 0));

-- name: keep_outcome
-- The answer for a key, in the transaction that it tells of; one that is too old gives way.
INSERT INTO idempotency_key (user_id, method, path, key, request_hash, outcome, created_at)
VALUES (:user_id, :method, :path, :key, :request_hash, :outcome, moment())
ON CONFLICT (user_id, method, path, key) DO UPDATE SET
    request_hash = excluded.request_hash, outcome = excluded.outcome,
    created_at = excluded.created_at
WHERE idempotency_key.created_at <= moment() - CAST(:age AS interval)
RETURNING key;

-- name: prune_jobs
-- Jobs that finished long ago, with their events and logs.
DELETE FROM job WHERE id IN (
    SELECT id FROM job WHERE finished_at IS NOT NULL AND finished_at <= moment() - CAST(:age AS interval)
    ORDER BY finished_at, id LIMIT :limit
    FOR UPDATE SKIP LOCKED)
RETURNING id;

-- name: prune_sessions
-- Sessions that are over in any case.
DELETE FROM session WHERE id_hash IN (
    SELECT id_hash FROM session WHERE created_at <= moment() - CAST(:age AS interval)
    ORDER BY created_at LIMIT :limit
    FOR UPDATE SKIP LOCKED)
RETURNING user_id;

-- name: prune_keys
-- Answers that are kept no longer.
DELETE FROM idempotency_key WHERE (user_id, method, path, key) IN (
    SELECT user_id, method, path, key FROM idempotency_key WHERE created_at <= moment() - CAST(:age AS interval)
    ORDER BY created_at LIMIT :limit
    FOR UPDATE SKIP LOCKED)
RETURNING user_id;

-- name: workers
-- Those that have not ended; one whose lease does not hold is lost.
SELECT id, host, pid, slots, started_at, seen_at, obstacles, EXISTS (
    SELECT 1 FROM worker_lease WHERE worker = worker.id AND expires_at > moment()) AS alive
FROM worker ORDER BY started_at, id;

-- name: obstacles
-- What keeps jobs of a name from being started: what live workers say, or that none knows them (null).
-- General is what a worker says of every job.
SELECT id AS worker, said ->> :name AS reason,
    said ->> :name IS NOT DISTINCT FROM said ->> '*' AS is_general
FROM worker CROSS JOIN LATERAL CAST(obstacles AS jsonb) AS said
WHERE said ->> :name IS NOT NULL AND EXISTS (
    SELECT 1 FROM worker_lease WHERE worker = worker.id AND expires_at > moment())
UNION ALL
SELECT NULL, NULL, false WHERE NOT EXISTS (
    SELECT 1 FROM known_job WHERE name = :name AND seen_at > moment() - CAST(:known AS interval))
ORDER BY worker;

-- name: user_names
-- The names of some users.
SELECT id, name FROM user_account WHERE id = ANY(:ids);

-- name: passages
-- How jobs came and went, by periods.
SELECT status, due, left_at AS "left", ended, count(*) AS total FROM (
    SELECT
        status,
        greatest(-1, floor(
            extract(epoch FROM greatest(created_at, run_at) - CAST(:since AS timestamptz))
            / extract(epoch FROM CAST(:width AS interval))))::integer AS due,
        CASE WHEN coalesce(started_at, finished_at) IS NOT NULL THEN greatest(-1, floor(
            extract(epoch FROM coalesce(started_at, finished_at) - CAST(:since AS timestamptz))
            / extract(epoch FROM CAST(:width AS interval))))::integer END AS left_at,
        floor(extract(epoch FROM finished_at - CAST(:since AS timestamptz))
            / extract(epoch FROM CAST(:width AS interval)))::integer AS ended
    FROM (
        SELECT * FROM job WHERE finished_at >= :since
        UNION ALL {live}
    ) AS lately
) AS passages GROUP BY status, due, left_at, ended;
