CREATE TABLE tenant (
  name TEXT NOT NULL PRIMARY KEY,
  plan TEXT NOT NULL CHECK (plan IN ('free', 'paid')),
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
