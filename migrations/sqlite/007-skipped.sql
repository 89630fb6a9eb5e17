-- Files that a job's scan did not take for media: how many, by extension, as a JSON object.
ALTER TABLE jobs ADD COLUMN skipped TEXT NOT NULL DEFAULT '{}';
