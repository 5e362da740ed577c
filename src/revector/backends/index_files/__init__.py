"""Files of vectors that other libraries search: taken in, moved in a collection of our own, and written again.

Such a file can be replaced, and hardly changed; nor does it hold texts. So a collection of one is a SQLite file with
the vectors that were imported, and the file itself stays as it is until `release` puts another of the same kind in its
place.
"""

from revector.backends.index_files.kind import IndexFileKind

__all__ = ["IndexFileKind"]
