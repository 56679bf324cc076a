CREATE TABLE follow (
  author TEXT NOT NULL,
  reader TEXT NOT NULL,
  PRIMARY KEY (author, reader)
) STRICT, WITHOUT ROWID;

CREATE INDEX follow_by_reader ON follow (reader);

CREATE TABLE post (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  author TEXT NOT NULL,
  text TEXT NOT NULL,
  at INTEGER NOT NULL
) STRICT;

CREATE INDEX post_by_author ON post (author, id);

-- Posts that are not in every timeline yet, and how far they have come. Written together with the post.
CREATE TABLE outbox (
  post INTEGER PRIMARY KEY REFERENCES post (id),
  after_reader TEXT NOT NULL DEFAULT ''
) STRICT;
