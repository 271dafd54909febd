"""Writing run folders so that a reader never sees half a file, whenever the writer dies.

Every file appears by rename: written under a temporary name, flushed to the disk, renamed, and the folder flushed.
"""

import contextlib
import errno
import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from netwright.core.errors import CheckpointError, ResourceError, because

__all__ = [
    "RunLock",
    "append_jsonl",
    "is_number",
    "read_json",
    "read_jsonl",
    "sync_folder",
    "write_bytes",
    "write_json",
    "write_jsonl",
    "write_text",
    "write_through",
    "writing",
]


_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (
    errno.EACCES, errno.EEXIST, errno.EIO, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR,
    errno.EPERM, errno.EROFS,
)  # fmt: skip


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals while writing at `path` into one clear line.

    Raises:
        ResourceError: disk full, read-only or not ours to write.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise ResourceError("disk is full while writing {path}; free some space and resume", path=path) from error
        if error.errno == errno.EFBIG:
            template = "{path} is larger than a file may be here; raise the limit (ulimit -f) and resume"
            raise ResourceError(template, path=path) from error
        if error.errno in _REFUSED:
            template = "{path} cannot be written ({reason}); choose another folder with --out"
            raise ResourceError(template, path=path, reason=error.strerror) from error
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically and durably.

    Raises:
        ResourceError: disk full, or the folder cannot be written.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            write_through(handle, content)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        sync_folder(path.parent)


def write_through(file: Path | int, content: bytes) -> None:
    """Write a new file (or one that is open, by its number) and wait until the disk has it; not atomic by itself."""
    with open(file, "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically; see `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, indented, in UTF-8; see `write_bytes`."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """Write a line of JSON a row, atomically; see `write_bytes`."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CheckpointError: missing or damaged.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
        if not isinstance(value, dict):
            raise TypeError(type(value).__name__)
        return value
    except FileNotFoundError as error:
        raise CheckpointError("{path} does not exist; is this the folder of a run or a model?", path=path) from error
    except (OSError, TypeError, ValueError) as error:
        raise CheckpointError(
            "{path} is damaged ({reason}); restore it or train again", path=path, reason=because(error)
        ) from error


def append_jsonl(path: Path, value: Any) -> None:
    """Append one line of JSON; a reader that meets a half-written last line skips it (`read_jsonl`)."""
    with writing(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(value, ensure_ascii=False) + "\n")


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """All whole lines of a JSONL file; an empty list where there is no file."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text("utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            rows.append(json.loads(line))
    return [row for row in rows if isinstance(row, dict)]


def is_number(value: Any) -> bool:
    """Whether a value of a JSON row is a figure: a finite number, and no yes or no."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names to the disk, so that a rename in it survives a power cut."""
    with contextlib.suppress(OSError):  # some file systems cannot sync a folder; the rename is atomic all the same
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class RunLock:
    """Holds a run folder for one process (flock): the lock goes with the process, however it ends."""

    def __init__(self, folder: Path) -> None:
        import fcntl

        self._path = folder / ".lock"
        with writing(folder):
            self._made = [path for path in (self._path, folder, *folder.parents) if not path.exists()]
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            template = "{folder} is in use by another run; wait for it to end or choose another folder with --out"
            raise ResourceError(template, folder=folder) from error

    def release(self) -> None:
        """Let the folder go; safe to call twice. A folder made for the lock in which nothing was written goes away."""
        if not self._file.closed and self._made and os.listdir(self._path.parent) == [self._path.name]:
            with contextlib.suppress(OSError):  # in use by then, or gone
                self._path.unlink()
                for folder in self._made[1:]:
                    folder.rmdir()
        self._file.close()
