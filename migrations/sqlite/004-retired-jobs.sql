-- Jobs go over to the gallery that takes this one's place: what is asked of them from then on is for that one.
CREATE TRIGGER retired_job_insert BEFORE INSERT ON jobs
  WHEN (SELECT successor FROM stamp) IS NOT NULL BEGIN SELECT RAISE(ABORT, 'GALLERY_RETIRED'); END;
CREATE TRIGGER retired_job_update BEFORE UPDATE OF state ON jobs
  WHEN (SELECT successor FROM stamp) IS NOT NULL BEGIN SELECT RAISE(ABORT, 'GALLERY_RETIRED'); END;
