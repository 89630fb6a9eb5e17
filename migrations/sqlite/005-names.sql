-- Files whose names are no UTF-8 are indexed: the next scan takes those that were refused for it.
DELETE FROM failures WHERE code = 'FILE_NAME_INVALID';
UPDATE items SET code = 'FILE_UNREADABLE' WHERE code = 'FILE_NAME_INVALID';
