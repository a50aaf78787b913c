-- A worker says of which names it starts no jobs now, and why.

ALTER TABLE worker ADD COLUMN obstacles TEXT NOT NULL DEFAULT '{}';
