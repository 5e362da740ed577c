"""The backend in PostgreSQL, whose vectors are those of pgvector."""
