-- Selections and operations.

-- name: keep_selection
-- A selection whose ids come after it, unless the user has as many as one may.
INSERT INTO selection (id, user_id, query, total, shown, complete, expires_at)
SELECT :id, :user_id, :query, :total, :shown, 0, :now + :age
WHERE (
    SELECT count(*) FROM selection WHERE user_id = :user_id AND expires_at > :now) < :most
RETURNING id;

-- name: complete_selection
-- All its ids are there: it can be used.
UPDATE selection SET complete = 1, expires_at = :now + :age
WHERE id = :id
RETURNING expires_at;

-- name: selection
-- A selection of this user's, until it expires.
SELECT id, query, total, shown, expires_at FROM selection
WHERE id = :id AND user_id = :user_id AND complete AND expires_at > :now;

-- name: begin_operation
-- An operation on a selection of this user's, unless they have as many running as one may.
INSERT INTO operation (
    id, action, status, selection_id, query, total, batch_jobs, batches, created_by, created_at, ended_at,
    reason, request_id)
SELECT
    :id, :action, CASE WHEN total = 0 THEN 'DONE' ELSE 'RUNNING' END, id, query, total,
    :batch_jobs, (total + :batch_jobs - 1) / :batch_jobs, :user_id, :now,
    CASE WHEN total = 0 THEN :now END, :reason, :request_id
FROM selection
WHERE id = :selection_id AND user_id = :user_id AND complete AND expires_at > :now
    AND (
        SELECT count(*) FROM operation
        WHERE status = 'RUNNING' AND created_by = :user_id) < :most
RETURNING id;

-- name: begin_undo
-- An operation that takes back the cancels of another, unless one does or did, or the user has as many
-- running as one may.
INSERT INTO operation (
    id, action, status, undo_of, query, total, batch_jobs, batches, created_by, created_at, ended_at, reason,
    request_id)
SELECT
    :id, 'undo', CASE WHEN :total = 0 THEN 'DONE' ELSE 'RUNNING' END, number, query, :total,
    batch_jobs, batches_done, :user_id, :now, CASE WHEN :total = 0 THEN :now END, :reason, :request_id
FROM operation
WHERE number = :undo_of
    AND (
        SELECT count(*) FROM operation
        WHERE status = 'RUNNING' AND created_by = :user_id) < :most
ON CONFLICT DO NOTHING
RETURNING id;

-- name: ended_lately
-- Whether an operation ended within a time.
SELECT 1 AS so FROM operation WHERE number = :number AND ended_at > :now - :age;

-- name: take_operation
-- An operation that has more to do, to oneself until the transaction ends; none that somebody else has.
-- With it, whose it is and which jobs are next: the part of the selection that has them and, of an undo,
-- what became of their cancel.
SELECT
    operation.*, user_account.id AS user_id, name, permissions, active, selection_part.ids,
    operation_batch.codes
FROM operation
JOIN user_account ON user_account.id = operation.created_by
LEFT JOIN operation AS source ON source.number = operation.undo_of
LEFT JOIN selection_part
    ON selection_part.selection_id = coalesce(operation.selection_id, source.selection_id)
    AND selection_part.number = operation.batches_done * operation.batch_jobs / :part_jobs
LEFT JOIN operation_batch
    ON operation_batch.operation = source.number
    AND operation_batch.number = operation.batches_done
WHERE operation.number = :number AND operation.status = 'RUNNING';

-- name: hold_operation
-- An operation, to oneself, however long somebody else has it.
SELECT * FROM operation WHERE number = :number;

-- name: go_on
-- A batch was done, or the operation stopped.
UPDATE operation SET
    done = :done, batches_done = :batches_done, outcomes = :outcomes, status = :status,
    ended_at = CASE WHEN :status <> 'RUNNING' THEN :now END
WHERE number = :number AND status = 'RUNNING'
RETURNING number;

-- name: prune_selections
-- Selections that have expired, and that no operation is done to.
DELETE FROM selection WHERE id IN (
    SELECT id FROM selection
    WHERE expires_at <= :now - :margin
        AND NOT EXISTS (SELECT 1 FROM operation WHERE selection_id = selection.id)
    ORDER BY expires_at LIMIT :limit)
RETURNING id;

-- name: prune_operations
-- Operations that ended long ago, once what takes them back is gone.
DELETE FROM operation WHERE number IN (
    SELECT number FROM operation
    WHERE ended_at IS NOT NULL AND ended_at <= :now - :age
        AND NOT EXISTS (SELECT 1 FROM operation AS undo WHERE undo.undo_of = operation.number)
    ORDER BY ended_at LIMIT :limit)
RETURNING id;
