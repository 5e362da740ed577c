"""The durable truth about migrations: their phases, events and jobs, in SQL."""
