-- A worker says of which names it starts no jobs now, and why.

ALTER TABLE worker ADD COLUMN obstacles text NOT NULL DEFAULT '{}';
