"""Where the trials of a study are kept: a file beside them, or a database that many machines share.

Optuna keeps them (Akiba et al., "Optuna", KDD 2019); here is how its stores are named and what is said when one cannot
be reached. SQLite writes a trial whole or not at all, so that a process may be killed at any instant.
"""

import importlib
import re
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from netwright.core.errors import ConfigError, NetwrightError, ResourceError, need
from netwright.core.messages import say

__all__ = ["hidden", "open_study", "quietly", "reached"]

T = TypeVar("T")

_DATABASES = ("mysql", "postgresql", "sqlite")
_JOURNALS, _FILES = (".journal", ".log"), (".db", ".sqlite", ".sqlite3")
_PATIENCE = 60.0  # seconds for which a process waits for another one's write
_TRIES, _PAUSE = 5, 0.3  # two processes that make the tables of a new database at once: one of them has to come again


def open_study(url: str, name: str, direction: str, pruner: Any = None) -> Any:
    """The study called `name`, made where it is not there yet.

    Args:
        url: `sqlite:///FILE.db`, `postgresql://…`, `mysql://…`, or a file ending in .db or .journal.

    Raises:
        MissingExtra: Optuna, or the library of a database, is not installed.
        ConfigError: no such kind of store.
        ResourceError: it cannot be reached.
    """
    optuna = need("optuna", "tune")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with quietly(), reached(url):
        storage = _again(lambda: _storage(optuna, url))
        how = {"storage": storage, "study_name": name, "direction": direction, "load_if_exists": True}
        return _again(lambda: optuna.create_study(**how, pruner=pruner))


def hidden(url: str) -> str:
    """The address without its password."""
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", url)


@contextmanager
def reached(url: str) -> Iterator[None]:
    """Say in one line that a store does not answer, whatever its library says.

    Raises:
        ResourceError: in place of that library's error.
    """
    try:
        yield
    except (NetwrightError, KeyboardInterrupt):
        raise
    except (ModuleNotFoundError, ImportError) as error:
        template = "--storage {url} needs a library that is not installed ({reason}); install the database's driver"
        raise ConfigError(template, url=hidden(url), reason=_reason(error)) from error
    except Exception as error:
        theirs = type(error).__module__.startswith(("optuna", "sqlalchemy", "alembic", "sqlite3"))
        if not (theirs or isinstance(error, OSError)):
            raise
        template = "the store {url} cannot be reached ({reason}); check the address, and that it may be written"
        raise ResourceError(template, url=hidden(url), reason=_reason(error)) from error


@contextmanager
def quietly() -> Iterator[None]:
    """Without warnings about what is experimental in Optuna, of which nobody here can do anything."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"optuna")
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _storage(optuna: Any, url: str) -> Any:
    kind, mark, _ = url.partition("://")
    if mark and kind.split("+")[0] in _DATABASES:
        waits = {"connect_args": {"timeout": _PATIENCE}} if kind.startswith("sqlite") else {}
        return optuna.storages.RDBStorage(url, engine_kwargs=waits)
    path = Path(url)
    if not mark and path.suffix in _FILES + _JOURNALS:
        if not path.absolute().parent.is_dir():
            raise ResourceError("the store {url} cannot be reached: there is no folder {folder}; make it first",
                                url=url, folder=path.parent)  # fmt: skip
        if path.suffix in _FILES:
            return _storage(optuna, f"sqlite:///{path.absolute()}")
        journal = importlib.import_module("optuna.storages.journal")
        return optuna.storages.JournalStorage(journal.JournalFileBackend(str(path)))
    template = (
        "--storage {url} does not fit; expected sqlite:///FILE.db, postgresql://…, mysql://…, or a file that ends in "
        ".db or .journal"
    )
    raise ConfigError(template, url=hidden(url))


def _again(make: Callable[[], T]) -> T:
    """Try a few times what another process may be doing at the same moment."""
    for _ in range(_TRIES - 1):
        try:
            return make()
        except (NetwrightError, ImportError):
            raise
        except Exception as error:
            if "exists" not in str(error) and "locked" not in str(error) and "UNIQUE" not in str(error):
                raise
            time.sleep(_PAUSE)
    return make()


def _reason(error: BaseException) -> str:
    """The database's own words, which stand innermost, in one line and without a password."""
    while error.__cause__ is not None:
        error = error.__cause__
    said = str(error).strip().partition("\n")[0]
    return hidden(said) or say("no reason is given")
