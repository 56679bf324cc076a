CREATE TABLE stock (
  item text PRIMARY KEY,
  units integer NOT NULL CHECK (units >= 0)
);

CREATE TABLE orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  item text NOT NULL REFERENCES stock,
  units integer NOT NULL CHECK (units > 0),
  placed timestamptz NOT NULL DEFAULT now()
);

INSERT INTO stock VALUES ('lamp', 3), ('chair', 10);
