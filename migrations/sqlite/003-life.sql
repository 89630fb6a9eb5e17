-- A random mark of every row of the log tells two histories apart that have the same length: see Catalogue.markAt.
ALTER TABLE changes ADD COLUMN mark BLOB;
UPDATE changes SET mark = randomblob(8);

-- Up to this row the log was compacted: what a later row undid is not in it any more.
ALTER TABLE stamp ADD COLUMN compacted INTEGER NOT NULL DEFAULT 0;

-- The fingerprint of the gallery that took this one's place. From then on clips, failures and jobs are written there alone.
ALTER TABLE stamp ADD COLUMN successor TEXT;

CREATE TRIGGER retired_clip_insert BEFORE INSERT ON clips
  WHEN (SELECT successor FROM stamp) IS NOT NULL BEGIN SELECT RAISE(ABORT, 'GALLERY_RETIRED'); END;
CREATE TRIGGER retired_clip_update BEFORE UPDATE ON clips
  WHEN (SELECT successor FROM stamp) IS NOT NULL BEGIN SELECT RAISE(ABORT, 'GALLERY_RETIRED'); END;
CREATE TRIGGER retired_clip_delete BEFORE DELETE ON clips
  WHEN (SELECT successor FROM stamp) IS NOT NULL BEGIN SELECT RAISE(ABORT, 'GALLERY_RETIRED'); END;
CREATE TRIGGER retired_failure BEFORE INSERT ON failures
  WHEN (SELECT successor FROM stamp) IS NOT NULL BEGIN SELECT RAISE(ABORT, 'GALLERY_RETIRED'); END;
CREATE TRIGGER retired_job BEFORE INSERT ON jobs
  WHEN (SELECT successor FROM stamp) IS NOT NULL BEGIN SELECT RAISE(ABORT, 'GALLERY_RETIRED'); END;
