-- Everything of a gallery but the partitions of its vectors, which partition.sql makes with each space.

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

CREATE FUNCTION fits(attributes jsonb, wanted jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN NOT EXISTS (
  SELECT FROM jsonb_each(wanted) AS one WHERE NOT coalesce(one.value ? (attributes ->> one.key), false)
);

CREATE FUNCTION served() RETURNS TABLE (record jsonb, previous jsonb) LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = hetero_gallery, {extension}, pg_temp AS $$
  SELECT now.record, old.record FROM serving JOIN spaces AS now USING (space_id)
  LEFT JOIN spaces AS old ON old.space_id = serving.previous
$$;

-- All that clients may call: a query says of which space it is, and is answered from that space or not at all.
CREATE FUNCTION search(
  query halfvec, query_space text, k integer, of_tenant text DEFAULT '', wanted jsonb DEFAULT '{{}}',
  effort integer DEFAULT 64 -- 0 compares with every vector
) RETURNS TABLE (id text, score real) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = hetero_gallery, {extension}, pg_temp SET enable_indexscan = on AS $$
DECLARE
  space spaces;
  statement text;
  ids text[];
  scores real[];
BEGIN
  SELECT spaces.* INTO space FROM serving JOIN spaces USING (space_id);
  IF space.space_id IS DISTINCT FROM query_space THEN
    RAISE EXCEPTION USING ERRCODE = 'HG001', MESSAGE = format(
      'the gallery holds vectors of space %s, the query is of space %s: use the model of one space, or re-embed',
      space.space_id, query_space
    );
  END IF;
  IF vector_dims(query) <> space.dimension THEN
    RAISE EXCEPTION USING ERRCODE = 'HG001', MESSAGE = format(
      'space %s has %s dimensions, the query has %s', space.space_id, space.dimension, vector_dims(query)
    );
  END IF;
  statement := format(
    'SELECT array_agg(near.id ORDER BY near.distance, near.item), array_agg(-near.distance::real ORDER BY '
    'near.distance, near.item) FROM (SELECT items.id, item, part.vector::halfvec(%1$s) <#> $1 AS distance '
    'FROM vectors_%2$s AS part JOIN items USING (item) WHERE part.tenant = $2 AND fits(attributes, $3) '
    'ORDER BY part.vector::halfvec(%1$s) <#> $1 LIMIT $4) AS near', space.dimension, space.number
  );
  IF effort > 0 THEN
    PERFORM set_config('hnsw.ef_search', effort::text, true);
    PERFORM set_config('hnsw.iterative_scan', 'strict_order', true);
    EXECUTE statement INTO ids, scores USING query, of_tenant, wanted, k;
  END IF;
  -- A graph gives up after some thousand vectors that do not fit.
  IF coalesce(cardinality(ids), 0) < k THEN
    PERFORM set_config('enable_indexscan', 'off', true);
    EXECUTE statement INTO ids, scores USING query, of_tenant, wanted, k;
  END IF;
  RETURN QUERY SELECT * FROM unnest(ids, scores);
END
$$;

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'hetero_gallery_client') THEN
    CREATE ROLE hetero_gallery_client NOLOGIN;
  END IF;
END
$$;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA hetero_gallery FROM PUBLIC;
GRANT USAGE ON SCHEMA hetero_gallery TO hetero_gallery_client;
GRANT EXECUTE ON FUNCTION search, served TO hetero_gallery_client;
