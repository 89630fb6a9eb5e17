-- The user's own data of a clip: a JSON object of strings, numbers and booleans.
ALTER TABLE clips ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}';

-- Events of a clip: a label with its start and end in seconds, and what it was recognised in.
CREATE TABLE events (
  clip INTEGER NOT NULL REFERENCES clips (number) ON DELETE CASCADE,
  label INTEGER NOT NULL REFERENCES labels (number),
  start_s REAL NOT NULL,
  end_s REAL NOT NULL,
  probability REAL NOT NULL,
  source TEXT NOT NULL CHECK (source IN ('audio', 'visual', 'both'))
) STRICT;
CREATE INDEX events_of_clip ON events (clip, start_s);
CREATE INDEX events_by_label ON events (label, probability);

-- The log also has a row for each change of a clip's attributes, by which an index may filter. SQLite
-- cannot change a CHECK, so the table is copied.
CREATE TABLE new_changes (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  op TEXT NOT NULL CHECK (op IN ('put', 'drop', 'attributes')),
  segment INTEGER CHECK ((op = 'attributes') = (segment IS NULL)),
  modality TEXT CHECK ((op = 'put') = (modality IS NOT NULL)),
  clip INTEGER, -- of a put or of attributes
  mark BLOB
) STRICT;
INSERT INTO new_changes (seq, op, segment, modality, clip, mark)
  SELECT seq, op, segment, modality,
         iif(op = 'put', (SELECT clip FROM segments WHERE id = changes.segment), NULL), mark
  FROM changes ORDER BY seq;
-- A number of the log is never used twice, even if compaction removed the last rows.
UPDATE sqlite_sequence SET seq = (SELECT seq FROM sqlite_sequence WHERE name = 'changes')
  WHERE name = 'new_changes' AND EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'changes');
INSERT INTO sqlite_sequence (name, seq)
  SELECT 'new_changes', seq FROM sqlite_sequence
  WHERE name = 'changes' AND NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'new_changes');
DROP TABLE changes;
ALTER TABLE new_changes RENAME TO changes;
CREATE INDEX changes_of_attributes ON changes (clip, seq) WHERE op = 'attributes';
INSERT INTO changes (op, clip, mark) SELECT 'attributes', number, randomblob(8) FROM clips;
