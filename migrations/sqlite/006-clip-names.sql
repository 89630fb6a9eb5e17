-- What the client called a file that was uploaded; NULL for others, whose name is the last part of the path.
ALTER TABLE clips ADD COLUMN name TEXT;
