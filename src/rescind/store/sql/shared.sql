-- Statements that are the same for every database. Those of one alone stand beside its store.

-- name: stops_wanted
-- The runs of this worker whose cancel is accepted and that have not stopped yet.
SELECT id, attempt FROM job
WHERE worker = :worker AND worker IS NOT NULL AND status = 'CANCELLING' AND evidence IS NULL
ORDER BY id;

-- name: held
-- The runs that this worker holds and has not given back.
SELECT id, attempt FROM job
WHERE worker = :worker AND worker IS NOT NULL AND evidence IS NULL ORDER BY id;

-- name: histories_between
-- The same for when the newest are not among them, or may not be: first their ids, from an index
-- that has all that is asked for. The plus keeps them from being looked for along the ids.
SELECT
    id, title, status, created_by, created_at, modified_by, modified_at, run_at, started_at,
    finished_at
FROM job WHERE id IN (
    SELECT id FROM job
    WHERE finished_at IS NOT NULL
        AND finished_at >= :since -- if since
        AND finished_at <= :until -- if until
        AND status = :status -- if status
        AND created_by = :owner -- if owner
    ORDER BY +id DESC LIMIT :limit OFFSET :offset)
ORDER BY id DESC;

-- name: histories_total
-- How many finished jobs there are in all.
SELECT count(*) AS total FROM job
WHERE finished_at IS NOT NULL
    AND finished_at >= :since -- if since
    AND finished_at <= :until -- if until
    AND status = :status -- if status
    AND created_by = :owner -- if owner
;

-- name: last_finish
-- When the last job finished.
SELECT max(finished_at) AS at FROM job WHERE finished_at IS NOT NULL;

-- name: monitors
-- A page of the jobs that are not finished, by their start.
SELECT
    id, title, status, created_by, created_at, modified_by, modified_at, run_at, started_at,
    finished_at
FROM ({live_jobs}) AS unfinished
WHERE true
    AND created_at >= :since -- if since
    AND created_at <= :until -- if until
    AND status = :status -- if status
    AND created_by = :owner -- if owner
ORDER BY
    CASE WHEN status IN ('SCHEDULED', 'QUEUEING', 'QUEUED') THEN run_at
        ELSE coalesce(started_at, run_at) END,
    id
LIMIT :limit OFFSET :offset;

-- name: monitors_total
-- How many unfinished jobs there are in all.
SELECT count(*) AS total FROM ({live_jobs}) AS unfinished
WHERE true
    AND created_at >= :since -- if since
    AND created_at <= :until -- if until
    AND status = :status -- if status
    AND created_by = :owner -- if owner
;

-- name: live_jobs
-- Jobs that are not finished: each branch has an index of its own.
SELECT * FROM job WHERE status = 'SCHEDULED'
UNION ALL SELECT * FROM job WHERE status = 'QUEUEING'
UNION ALL SELECT * FROM job WHERE status = 'QUEUED'
UNION ALL SELECT * FROM job WHERE worker IS NOT NULL AND status = 'RUNNING'
UNION ALL SELECT * FROM job WHERE status = 'CANCELLING';

-- name: ended_jobs
-- Finished jobs.
SELECT * FROM job WHERE finished_at IS NOT NULL;

-- name: every_job
-- All jobs.
SELECT * FROM job;

-- name: users
-- What of users can be asked for.
SELECT id, name FROM user_account;

-- name: selected
-- Rows of a query: columns, rows, filter and order are put in by name, see sql/queries.py.
SELECT {columns} FROM ({rows}) AS found WHERE {where} ORDER BY {order} LIMIT :limit OFFSET :offset;

-- name: selected_total
-- How many rows of a query there are.
SELECT count(*) AS total FROM ({rows}) AS found WHERE {where};

-- name: events
-- The moves of one job, in order, with the names of those who made them.
SELECT job_event.*, name AS user_name FROM job_event
LEFT JOIN user_account ON user_account.id = user_id
WHERE job_id = :job_id ORDER BY job_event.id;

-- name: reruns
-- The jobs that repeat one, as far as the caller may see them.
SELECT id, undo FROM job WHERE rerun_of = :job_id
    AND created_by = :owner -- if owner
ORDER BY id;

-- name: log_chunks
-- The kept chunks of one job's log, in order, from the one that holds a byte on. The key leads to
-- it, so that following a log costs what is new in it.
SELECT start_byte, text FROM job_log
WHERE job_id = :job_id AND start_byte + bytes > :from_byte
    AND start_byte >= coalesce((
        SELECT max(start_byte) FROM job_log
        WHERE job_id = :job_id AND start_byte <= :from_byte), 0)
ORDER BY start_byte;

-- name: listed
-- A page of jobs that have an index of their own: band, filter and order are put in by name, see
-- sql/listing.py.
SELECT * FROM job WHERE {band} AND {where} ORDER BY {order} LIMIT :limit OFFSET :offset;

-- name: listed_totals
-- How many of them there are, by status.
SELECT status, count(*) AS total FROM job WHERE {band} AND {where} GROUP BY status;

-- name: runs
-- What workers hold.
SELECT id, title, status, started_at, worker FROM job WHERE worker IS NOT NULL
ORDER BY worker, id LIMIT :limit;

-- name: people
-- Everyone but the system itself.
SELECT id, name, permissions, active FROM user_account WHERE id <> 1 ORDER BY id;

-- name: set_active!
-- Let a user in, or no longer.
UPDATE user_account SET active = :active WHERE id = :user_id;

-- name: set_password!
-- A new password.
UPDATE user_account SET password_hash = :password_hash WHERE id = :user_id;

-- name: rehash_password
-- Another hash of the same password, if it has not been changed meanwhile.
UPDATE user_account SET password_hash = :new_hash WHERE id = :user_id AND password_hash = :old_hash
RETURNING id;

-- name: close_session!
-- One session ends.
DELETE FROM session WHERE id_hash = :id_hash;

-- name: close_sessions_of!
-- Every session of a user ends.
DELETE FROM session WHERE user_id = :user_id;

-- name: account
-- What else is told of a user.
SELECT created_at FROM user_account WHERE id = :user_id;
