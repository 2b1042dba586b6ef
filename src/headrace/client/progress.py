"""A progress bar on stderr, for people only: a pipe or a log gets none."""

import io
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

WIDTH = 30
REDRAW_SECONDS = 0.1


class Bar:
    """One line that is drawn again as work moves on, and is left standing at the end of its `with` block."""

    def __init__(
        self,
        label: str,
        *,
        shown: bool = True,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._shown = shown and self._stream.isatty()
        self._label, self._clock = label, clock
        self._drawn: float | None = None
        self._line = ""

    def move(self, done: int, total: int | None = None, unit: str = "") -> None:
        """Say how much is done, of how much where that is known."""
        if total:
            filled = min(WIDTH, WIDTH * done // total)
            self._line = f"{self._label} [{'#' * filled}{'.' * (WIDTH - filled)}] {min(100, 100 * done // total):3d} %"
        else:
            self._line = f"{self._label} {done:,} {unit}".rstrip()
        now = self._clock()
        if self._drawn is None or now - self._drawn >= REDRAW_SECONDS:
            self._drawn = now
            self._draw()

    def _draw(self, end: str = "") -> None:
        if self._shown and self._line:
            self._stream.write(f"\r{self._line}\x1b[K{end}")
            self._stream.flush()

    def __enter__(self) -> Self:
        """The bar."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Draw the last state and end the line."""
        self._draw("\n")


class Watched(io.BufferedReader):
    """A file that tells how far it has been read, in bytes."""

    def __init__(self, file: io.RawIOBase, told: Callable[[int], None]) -> None:
        super().__init__(file)
        self._told = told

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to `size` bytes."""
        data = super().read(size)
        self._told(self.tell())
        return data
