from __future__ import annotations

from django.core.management.base import OutputWrapper

WIDTH = 40


class ProgressBar:
    """One line on a terminal, drawn anew when its percentage changes; nothing at all anywhere else."""

    def __init__(self, stream: OutputWrapper, unit: str) -> None:
        self._stream = stream
        self._unit = unit
        self._drawn = ""

    def show(self, done: int, total: int) -> None:
        if not self._stream.isatty():
            return
        share = done / total if total else 1
        bar = "█" * int(WIDTH * share)
        line = f"\r{bar:░<{WIDTH}} {share:4.0%}  {done:,} of {total:,} {self._unit}"
        if line != self._drawn:
            self._write(line)
            self._drawn = line

    def clear(self) -> None:
        """Make room for a line of something else."""
        if self._drawn:
            self._write("\r\033[K")
            self._drawn = ""

    def _write(self, text: str) -> None:
        self._stream.write(text, style_func=str, ending="")
        self._stream.flush()
