"""Spool: a finished record line goes in, it is in the kernel's hands before anything else happens to it."""

from pathlib import Path


class Spool:
    """Append-only file of lines. Unbuffered: a killed process loses nothing that it had written."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.lines = 0
        self._file = path.open("ab", buffering=0)

    def append(self, line: bytes) -> None:
        """Write one line (given without its newline)."""
        self._file.write(line + b"\n")
        self.lines += 1

    def append_many(self, lines: bytes, count: int) -> None:
        """Write `count` lines that already end in newlines, unparsed."""
        self._file.write(lines)
        self.lines += count

    def close(self) -> None:
        """Close the file and hand it to the disk."""
        self._file.close()

    def discard(self) -> None:
        """Close and delete: every line is known to lie elsewhere."""
        self._file.close()
        self.path.unlink(missing_ok=True)
