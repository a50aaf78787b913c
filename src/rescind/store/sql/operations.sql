-- Selections and operations: what is the same for every database.

-- name: count_meant
-- Of the jobs that a query means, how many stand where, and how many of them are not the owner's.
SELECT status, count(*) AS total, count(*) FILTER (WHERE created_by <> :owner) AS left_out
FROM (
{meant}
) AS meant GROUP BY status ORDER BY status;

-- name: meant_ids
-- The ids of the jobs that a query means, as far as they are the owner's.
SELECT id FROM (
{meant}
) AS meant
WHERE true
    AND created_by = :owner -- if owner
ORDER BY id;

-- name: first_meant
-- The first of them, in the order of the query.
SELECT id, title, status FROM (
{meant}
) AS meant
WHERE true
    AND created_by = :owner -- if owner
ORDER BY {order} LIMIT :first;

-- name: meant
-- All columns of the jobs that a query means; the order matters where not all are meant.
SELECT * FROM ({rows}) AS found WHERE {where}
ORDER BY {order} LIMIT :rows_max OFFSET :skip -- if rows_max

-- name: forget_selection!
-- A selection that nobody has seen.
DELETE FROM selection WHERE id = :id;

-- name: keep_part!
-- Some of the ids of a selection.
INSERT INTO selection_part (selection_id, number, first_id, ids)
VALUES (:id, :number, :first_id, :ids);

-- name: part
-- The ids of one part of a selection.
SELECT ids FROM selection_part WHERE selection_id = :selection_id AND number = :number;

-- name: part_starts
-- With which id each part of a selection begins.
SELECT number, first_id FROM selection_part WHERE selection_id = :selection_id ORDER BY number;

-- name: batch_codes
-- What became of the jobs of each batch that was done.
SELECT number, codes FROM operation_batch WHERE operation = :operation
    AND number >= :first -- if first
    AND number < :after -- if after
ORDER BY number;

-- name: batch_outcomes
-- What became of the jobs of one batch, and where they stood.
SELECT codes, statuses, new_ids FROM operation_batch
WHERE operation = :operation AND number = :number;

-- name: keep_outcomes!
-- What became of the jobs of one batch.
INSERT INTO operation_batch (operation, number, codes, statuses, new_ids)
VALUES (:operation, :number, :codes, :statuses, :new_ids);

-- name: running_operations
-- Those that have more to do, the oldest first.
SELECT number FROM operation WHERE status = 'RUNNING' ORDER BY number LIMIT :limit;

-- name: operations
-- A page of operations, newest first, as far as the caller may see them.
SELECT operation.*, source.id AS undo_of_id, (
    SELECT undo.id FROM operation AS undo
    WHERE undo.undo_of = operation.number AND undo.status <> 'STOPPED') AS undone_by
FROM operation LEFT JOIN operation AS source ON source.number = operation.undo_of
WHERE true
    AND operation.id = :id -- if id
    AND operation.created_by = :owner -- if owner
ORDER BY operation.number DESC LIMIT :limit OFFSET :offset;

-- name: operations_total
-- How many operations there are in all.
SELECT count(*) AS total FROM operation
WHERE true
    AND created_by = :owner -- if owner
;

-- name: source
-- An operation by its number.
SELECT * FROM operation WHERE number = :number;

-- name: cancelling_ids
-- All jobs that have yet to stop.
SELECT id FROM job WHERE status = 'CANCELLING' ORDER BY id;
