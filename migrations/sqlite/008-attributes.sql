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

-- The folders and files that jobs have indexed, without those inside others. Jobs are deleted after a
-- while, sources are not.
CREATE TABLE sources (path TEXT PRIMARY KEY, added_at TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO sources
  SELECT value, min(created_at) FROM jobs, json_each(jobs.request, '$.sources') GROUP BY value;
DELETE FROM sources WHERE EXISTS (
  SELECT 1 FROM sources AS outer_one
  WHERE substr(sources.path, 1, length(outer_one.path) + 1) = outer_one.path || '/');

-- Rows of the large tables, counted as they change: the size of a library is shown without a scan.
CREATE TABLE counters (name TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO counters VALUES
  ('clips', (SELECT count(*) FROM clips)),
  ('segments', (SELECT count(*) FROM segments)),
  ('failures', (SELECT count(*) FROM failures)),
  ('audio', (SELECT count(*) FROM embeddings WHERE modality = 'audio')),
  ('visual', (SELECT count(*) FROM embeddings WHERE modality = 'visual'));
CREATE TRIGGER count_clips_insert AFTER INSERT ON clips BEGIN
  UPDATE counters SET count = count + 1 WHERE name = 'clips';
END;
CREATE TRIGGER count_clips_delete AFTER DELETE ON clips BEGIN
  UPDATE counters SET count = count - 1 WHERE name = 'clips';
END;
CREATE TRIGGER count_segments_insert AFTER INSERT ON segments BEGIN
  UPDATE counters SET count = count + 1 WHERE name = 'segments';
END;
CREATE TRIGGER count_segments_delete AFTER DELETE ON segments BEGIN
  UPDATE counters SET count = count - 1 WHERE name = 'segments';
END;
CREATE TRIGGER count_failures_insert AFTER INSERT ON failures BEGIN
  UPDATE counters SET count = count + 1 WHERE name = 'failures';
END;
CREATE TRIGGER count_failures_delete AFTER DELETE ON failures BEGIN
  UPDATE counters SET count = count - 1 WHERE name = 'failures';
END;
CREATE TRIGGER count_embeddings_insert AFTER INSERT ON embeddings BEGIN
  UPDATE counters SET count = count + 1 WHERE name = new.modality;
END;
CREATE TRIGGER count_embeddings_delete AFTER DELETE ON embeddings BEGIN
  UPDATE counters SET count = count - 1 WHERE name = old.modality;
END;
