-- The functions of a gallery and who may call them. A gallery keeps those that made it until its owner opens it with a
-- hetero of a higher FUNCTIONS, in schema.py: raise that with each change here.

SET LOCAL search_path = hetero_gallery, {extension}, pg_temp;

CREATE OR REPLACE FUNCTION fits(attributes jsonb, wanted jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN NOT EXISTS (
  SELECT FROM jsonb_each(wanted) AS one WHERE NOT coalesce(one.value ? (attributes ->> one.key), false)
);

CREATE OR REPLACE FUNCTION served() RETURNS TABLE (record jsonb, previous jsonb) LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = hetero_gallery, {extension}, pg_temp AS $$
  SELECT now.record, old.record FROM serving JOIN spaces AS now USING (space_id)
  LEFT JOIN spaces AS old ON old.space_id = serving.previous
$$;

-- The nearest vectors of a space, with places for the query and for how many.
CREATE OR REPLACE FUNCTION near(space spaces, query text, many text) RETURNS text LANGUAGE sql STABLE
RETURN format(
  'SELECT items.id, item, part.vector::halfvec(%1$s) <#> %3$s AS distance FROM vectors_%2$s AS part '
  'JOIN items USING (item) WHERE part.tenant = $2 AND fits(attributes, $3) '
  'ORDER BY part.vector::halfvec(%1$s) <#> %3$s LIMIT %4$s', space.dimension, space.number, query, many
);

CREATE OR REPLACE FUNCTION nearest(
  query halfvec, query_space text, k integer, of_tenant text, wanted jsonb, effort integer
) RETURNS TABLE (id text, score real) LANGUAGE plpgsql
SET search_path = hetero_gallery, {extension}, pg_temp SET enable_indexscan = on AS $$
DECLARE
  space spaces;
  statement text;
  ids text[];
  scores real[];
BEGIN
  SELECT * INTO space FROM spaces WHERE space_id = query_space;
  statement := format(
    'SELECT array_agg(near.id ORDER BY near.distance, near.item), array_agg(-near.distance::real ORDER BY '
    'near.distance, near.item) FROM (%s) AS near', near(space, '$1', '$4')
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

-- The nearest of a gallery on its way: by the new space where an item has a vector of it, else by the one served.
CREATE OR REPLACE FUNCTION mixed(
  query halfvec, new_space spaces, old_space spaces, k integer, of_tenant text, wanted jsonb, effort integer
) RETURNS TABLE (id text, score real) LANGUAGE plpgsql
SET search_path = hetero_gallery, {extension}, pg_temp SET enable_indexscan = on AS $$
DECLARE
  earlier halfvec := query;
  many integer := greatest(4 * k, 40);
  statement text;
  ids text[];
  scores real[];
  more boolean := effort > 0;
BEGIN
  IF old_space.dimension < new_space.dimension THEN
    earlier := l2_normalize(subvector(query, 1, old_space.dimension));
  ELSIF old_space.dimension > new_space.dimension THEN
    earlier := query || array_fill(0::real, ARRAY[old_space.dimension - new_space.dimension])::halfvec;
  END IF;
  -- In one statement, which sees one state: no item is between the two. Old vectors are looked at until those not
  -- replaced are enough, or the next is farther than what there is.
  statement := format(
    'WITH renewed AS (%s), old AS (%s), kept AS (SELECT old.* FROM old WHERE NOT EXISTS '
    '(SELECT FROM vectors_%s AS newer WHERE newer.item = old.item)), best AS (SELECT * FROM '
    '(SELECT * FROM renewed UNION ALL SELECT * FROM kept) AS one ORDER BY distance, item LIMIT $4) '
    'SELECT array_agg(id ORDER BY distance, item), array_agg(-distance::real ORDER BY distance, item), '
    '(SELECT count(*) = $6 FROM old) AND (SELECT count(*) < $4 FROM kept) AND (SELECT max(distance) FROM old) < '
    'CASE WHEN count(*) < $4 THEN ''infinity'' ELSE max(distance) END FROM best',
    near(new_space, '$1', '$4'), near(old_space, '$5', '$6'), new_space.number
  );
  PERFORM set_config('hnsw.ef_search', effort::text, true) WHERE effort > 0;
  PERFORM set_config('hnsw.iterative_scan', 'strict_order', true);
  WHILE more LOOP
    EXECUTE statement INTO ids, scores, more USING query, of_tenant, wanted, k, earlier, many;
    many := many * 4;
  END LOOP;
  IF coalesce(cardinality(ids), 0) < k THEN
    PERFORM set_config('enable_indexscan', 'off', true);
    EXECUTE statement INTO ids, scores, more USING query, of_tenant, wanted, k, earlier, NULL::integer;
  END IF;
  RETURN QUERY SELECT * FROM unnest(ids, scores);
END
$$;

-- All that clients may call: a query says of which space it is, and is answered from that space or not at all. During
-- a backfill to a space that is compatible with the one served, its queries are answered from both.
CREATE OR REPLACE FUNCTION search(
  query halfvec, query_space text, k integer, of_tenant text DEFAULT '', wanted jsonb DEFAULT '{{}}',
  effort integer DEFAULT 64 -- 0 compares with every vector
) RETURNS TABLE (id text, score real) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = hetero_gallery, {extension}, pg_temp AS $$
DECLARE
  space spaces;
  asked spaces;
BEGIN
  SELECT spaces.* INTO space FROM serving JOIN spaces USING (space_id);
  SELECT * INTO asked FROM spaces WHERE space_id = query_space AND (
    space_id = space.space_id
    OR record -> 'compatible_with' @> jsonb_build_array(jsonb_build_object('space_id', space.space_id))
  );
  IF asked.space_id IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'HG001', MESSAGE = format(
      'the gallery holds vectors of space %s, the query is of space %s: use the model of one space, or re-embed',
      space.space_id, query_space
    );
  END IF;
  IF vector_dims(query) <> asked.dimension THEN
    RAISE EXCEPTION USING ERRCODE = 'HG001', MESSAGE = format(
      'space %s has %s dimensions, the query has %s', asked.space_id, asked.dimension, vector_dims(query)
    );
  END IF;
  IF asked.space_id = space.space_id THEN
    RETURN QUERY SELECT * FROM nearest(query, query_space, k, of_tenant, wanted, effort);
  ELSE
    RETURN QUERY SELECT * FROM mixed(query, asked, space, k, of_tenant, wanted, effort);
  END IF;
END
$$;

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'hetero_gallery_client') THEN
    CREATE ROLE hetero_gallery_client NOLOGIN;
  END IF;
END
$$;
REVOKE ALL ON FUNCTION fits, served, near, nearest, mixed, search FROM PUBLIC, hetero_gallery_client;
GRANT USAGE ON SCHEMA hetero_gallery TO hetero_gallery_client;
GRANT EXECUTE ON FUNCTION search, served TO hetero_gallery_client;

COMMENT ON FUNCTION search IS {version};
