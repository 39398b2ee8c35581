CREATE TABLE {table} PARTITION OF hetero_gallery.vectors FOR VALUES IN ({space_id});
ALTER TABLE {table} ADD CONSTRAINT dimension CHECK (vector_dims(vector) = {dimension});
CREATE INDEX ON {table} USING hnsw ((vector::halfvec({dimension})) halfvec_ip_ops)
WITH (m = {m}, ef_construction = {expansion});
