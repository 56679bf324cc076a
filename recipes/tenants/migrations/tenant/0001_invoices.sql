CREATE TABLE invoice (
  number INTEGER PRIMARY KEY,
  customer TEXT NOT NULL,
  cents INTEGER NOT NULL CHECK (cents > 0),
  paid INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX invoice_by_customer ON invoice (customer);
