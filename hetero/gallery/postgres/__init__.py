"""A gallery in PostgreSQL with pgvector, where the database itself refuses to mix spaces."""
