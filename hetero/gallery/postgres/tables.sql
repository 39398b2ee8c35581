-- The tables of a gallery, made once; partition.sql makes the partition of a space's vectors with the space.

CREATE SCHEMA hetero_gallery;
SET LOCAL search_path = hetero_gallery, {extension}, pg_temp;

CREATE TABLE spaces (
  space_id text PRIMARY KEY,
  number integer GENERATED ALWAYS AS IDENTITY UNIQUE,
  dimension integer NOT NULL CHECK (dimension BETWEEN 1 AND {largest}),
  record jsonb NOT NULL
);

CREATE TABLE serving (
  single boolean PRIMARY KEY DEFAULT true CHECK (single),
  space_id text NOT NULL REFERENCES spaces,
  previous text REFERENCES spaces
);

CREATE SEQUENCE revisions;
CREATE TABLE items (
  item bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant text NOT NULL,
  id text NOT NULL,
  attributes jsonb NOT NULL DEFAULT '{{}}',
  revision bigint NOT NULL UNIQUE DEFAULT nextval('revisions'),
  UNIQUE (tenant, id)
);

CREATE TABLE vectors (
  space_id text NOT NULL REFERENCES spaces,
  item bigint NOT NULL REFERENCES items ON DELETE CASCADE,
  tenant text NOT NULL,
  vector halfvec NOT NULL CONSTRAINT unit_length CHECK (abs(l2_norm(vector) - 1) < 0.002),
  PRIMARY KEY (space_id, item)
) PARTITION BY LIST (space_id);
CREATE INDEX ON vectors (item);
CREATE INDEX ON vectors (tenant);
