"""A crash in place of any write of a database."""

from __future__ import annotations

import re

import sqlalchemy as sa


class Crash(BaseException):
    """Stands for the end of the process: nothing catches it by accident."""


_WRITE = re.compile(r"\b(INSERT INTO|UPDATE \S+ (AS \S+ )?SET|DELETE FROM|CREATE|DROP)\b")


class CrashingWrites:
    """Raises `Crash` in place of the n-th write of a database."""

    def __init__(self, database, after):
        self.left = after
        engine = database._engine
        if engine.dialect.driver == "psycopg":  # most statements are said to the driver itself
            self._watch_cursors(engine)
        else:
            sa.event.listen(engine, "before_cursor_execute", self._statement)
            sa.event.listen(engine, "commit", self._commit)

    def _watch_cursors(self, engine):
        import psycopg

        crashing = self

        class Cursor(psycopg.Cursor):
            def execute(self, query, params=None, **options):
                said = query if isinstance(query, str) else query.as_string(self.connection)
                if _WRITE.search(said) or said == "COMMIT":
                    crashing._count()
                return super().execute(query, params, **options)

        @sa.event.listens_for(engine, "checkout")
        def watch(connection, record, proxy):
            connection.cursor_factory = Cursor

    def _statement(self, connection, cursor, statement, parameters, context, executemany):
        if _WRITE.search(statement):
            self._count()

    def _commit(self, connection):
        self._count()

    def stop(self):
        self.left = 0

    def _count(self):
        self.left -= 1
        if self.left == 0:
            raise Crash
