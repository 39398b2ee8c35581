-- The counter of revisions: an item gets the next one with each new vector.
CREATE TABLE about (schema TEXT NOT NULL, revision INTEGER NOT NULL DEFAULT 0, precision TEXT NOT NULL CHECK (precision IN ('float16', 'int8')));

CREATE TABLE spaces (space INTEGER PRIMARY KEY, space_id TEXT NOT NULL UNIQUE, record TEXT NOT NULL);

CREATE TABLE serving (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  space INTEGER NOT NULL REFERENCES spaces,
  previous INTEGER REFERENCES spaces
);

CREATE TABLE items (
  item INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  revision INTEGER NOT NULL UNIQUE,
  UNIQUE (tenant, id)
);

CREATE TABLE attributes (
  item INTEGER NOT NULL REFERENCES items ON DELETE CASCADE,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (name, value, item)
) WITHOUT ROWID;
CREATE INDEX attributes_of_items ON attributes (item);

-- A key is never used again, so that an index of the vectors knows by its largest key what it lacks.
CREATE TABLE vectors (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  space INTEGER NOT NULL REFERENCES spaces,
  item INTEGER NOT NULL REFERENCES items ON DELETE CASCADE,
  vector BLOB NOT NULL,
  UNIQUE (item, space)
);

-- For indexes that still hold them. The key 0 stands for this and all earlier ones of its space.
CREATE TABLE deleted (number INTEGER PRIMARY KEY AUTOINCREMENT, space INTEGER NOT NULL, key INTEGER NOT NULL);
CREATE TRIGGER deletion AFTER DELETE ON vectors
BEGIN
  INSERT INTO deleted (space, key) VALUES (old.space, old.key);
END;
