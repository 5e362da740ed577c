# cython: language_level=3, freethreading_compatible=True
"""An extension that calls librevector without the GIL."""
from revector cimport REVECTOR_OK, revector_last_error, revector_normalize


def normalize(float[:, ::1] x):
    """Scale the rows of x to unit length, in place."""
    cdef int status
    with nogil:
        status = revector_normalize(&x[0, 0], x.shape[0], x.shape[1], &x[0, 0])
    if status != REVECTOR_OK:
        raise ValueError(revector_last_error().decode())
