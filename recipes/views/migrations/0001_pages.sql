CREATE TABLE page (
  name TEXT NOT NULL PRIMARY KEY,
  views INTEGER NOT NULL,
  -- The last batch that is in the count: one that comes again changes nothing.
  batch INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX page_by_views ON page (views DESC);
