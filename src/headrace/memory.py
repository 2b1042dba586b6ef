"""How the C library deals with memory that has been freed."""

import ctypes
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 32 * 1024 * 1024
LARGE_BYTES = 4 * 1024 * 1024


def keep_freed_memory() -> None:
    """Have glibc keep some freed memory at hand, where it would give it back after every large answer.

    Getting the memory of a page of 1,024 records anew costs a thousand page faults, a fifth of the whole request
    (benchmark fetch). What is larger than 4 MB still goes back at once. With any other C library nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(MMAP_THRESHOLD, LARGE_BYTES)
