-- Seconds are decimals, probabilities and cosines floats, vectors float32 little-endian.

CREATE TABLE stamp (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  fingerprint TEXT NOT NULL,
  dimension INTEGER NOT NULL
) STRICT;

-- A clip's public id is `number` and `key` together: see src/gallery/clip-id.ts.
CREATE TABLE clips (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL,
  path TEXT NOT NULL UNIQUE,
  hash TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  mtime_ms REAL NOT NULL,
  seconds REAL NOT NULL,
  has_audio INTEGER NOT NULL,
  has_visual INTEGER NOT NULL,
  notes TEXT NOT NULL, -- JSON array
  indexed_at TEXT NOT NULL
) STRICT;
CREATE INDEX clips_by_hash ON clips (hash);

-- AUTOINCREMENT: the id of a segment that is gone is never given to another.
CREATE TABLE segments (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  clip INTEGER NOT NULL REFERENCES clips (number) ON DELETE CASCADE,
  start_s REAL NOT NULL,
  end_s REAL NOT NULL
) STRICT;
CREATE INDEX segments_of_clip ON segments (clip, start_s);

CREATE TABLE embeddings (
  segment INTEGER NOT NULL REFERENCES segments (id) ON DELETE CASCADE,
  modality TEXT NOT NULL CHECK (modality IN ('audio', 'visual')),
  vector BLOB NOT NULL,
  PRIMARY KEY (segment, modality)
) STRICT;

CREATE TABLE labels (
  number INTEGER PRIMARY KEY,
  mid TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL
) STRICT;

CREATE TABLE tags (
  segment INTEGER NOT NULL REFERENCES segments (id) ON DELETE CASCADE,
  label INTEGER NOT NULL REFERENCES labels (number),
  probability REAL NOT NULL,
  PRIMARY KEY (segment, label)
) STRICT, WITHOUT ROWID;

CREATE TABLE failures (
  path TEXT PRIMARY KEY,
  code TEXT NOT NULL,
  detail TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  mtime_ms REAL NOT NULL,
  failed_at TEXT NOT NULL
) STRICT;

-- Segments named here may be gone, so they are no foreign keys.
CREATE TABLE changes (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  op TEXT NOT NULL CHECK (op IN ('put', 'drop')),
  segment INTEGER NOT NULL,
  modality TEXT CHECK ((op = 'drop') = (modality IS NULL))
) STRICT;
