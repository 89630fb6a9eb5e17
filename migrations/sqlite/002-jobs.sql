-- What tells a file that was moved without reading it whole, and since when a clip's file is gone: NULL while it is there.
ALTER TABLE clips ADD COLUMN quick_hash TEXT;
ALTER TABLE clips ADD COLUMN missing_since TEXT;
CREATE INDEX clips_by_quick_hash ON clips (quick_hash);
CREATE INDEX clips_missing ON clips (number) WHERE missing_since IS NOT NULL;

-- A job is one scan of some sources. Times in ms are since 1970, and of leases: until when they are held.
CREATE TABLE jobs (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  idempotency_key TEXT UNIQUE,
  request TEXT NOT NULL, -- JSON
  mode TEXT NOT NULL, -- of the request
  state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'paused', 'succeeded', 'partial', 'failed', 'canceled')),
  revision INTEGER NOT NULL DEFAULT 0, -- goes up with everything that happens to the job or its items
  is_scanned INTEGER NOT NULL DEFAULT 0,
  scan_owner TEXT,
  scan_until_ms INTEGER,
  unchanged INTEGER NOT NULL DEFAULT 0, -- files passed over by the scan, which are no items
  quarantined INTEGER NOT NULL DEFAULT 0,
  warnings TEXT NOT NULL DEFAULT '[]', -- JSON array
  stop_code TEXT, -- why it paused by itself
  stop_detail TEXT,
  created_at TEXT NOT NULL,
  started_at TEXT,
  ended_at TEXT
) STRICT;
CREATE INDEX jobs_by_state ON jobs (state);

-- An item is one file of a job. `claim` counts how often it was given out, so that a late answer is known for one.
CREATE TABLE items (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
  path TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  mtime_ms REAL NOT NULL,
  state TEXT NOT NULL DEFAULT 'queued',
  code TEXT,
  detail TEXT,
  attempts INTEGER NOT NULL DEFAULT 0, -- that failed for a reason that may pass
  interruptions INTEGER NOT NULL DEFAULT 0, -- whoever worked on it was gone
  claim INTEGER NOT NULL DEFAULT 0,
  owner TEXT,
  lease_until_ms INTEGER,
  not_before_ms INTEGER NOT NULL DEFAULT 0,
  settled INTEGER, -- the job's revision when the item ended
  ended_ms INTEGER,
  seconds REAL NOT NULL DEFAULT 0, -- of media
  read_ms REAL NOT NULL DEFAULT 0,
  decode_ms REAL NOT NULL DEFAULT 0,
  encode_ms REAL NOT NULL DEFAULT 0,
  UNIQUE (job, path)
) STRICT;
CREATE INDEX items_by_state ON items (job, state, id);
CREATE INDEX items_queued ON items (job, interruptions, id) WHERE state = 'queued';
CREATE INDEX items_running ON items (owner) WHERE state = 'running';
CREATE INDEX items_settled ON items (job, settled) WHERE settled IS NOT NULL;

-- Items by state and reason, counted as they change: a job of a million items is shown as fast as one of ten.
CREATE TABLE item_counts (
  job INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
  state TEXT NOT NULL,
  code TEXT NOT NULL, -- '' where there is none
  items INTEGER NOT NULL,
  PRIMARY KEY (job, state, code)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER item_added AFTER INSERT ON items BEGIN
  INSERT INTO item_counts VALUES (new.job, new.state, coalesce(new.code, ''), 1)
    ON CONFLICT DO UPDATE SET items = items + 1;
END;

CREATE TRIGGER item_changed AFTER UPDATE OF state, code ON items BEGIN
  UPDATE item_counts SET items = items - 1
    WHERE job = old.job AND state = old.state AND code = coalesce(old.code, '');
  INSERT INTO item_counts VALUES (new.job, new.state, coalesce(new.code, ''), 1)
    ON CONFLICT DO UPDATE SET items = items + 1;
END;
