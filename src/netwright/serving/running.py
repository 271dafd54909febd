"""The address that is listened at, and the server until somebody ends it."""

import errno
import os
import socket
from collections.abc import Callable
from typing import Any

from netwright.core.errors import ConfigError, ResourceError, need

__all__ = ["listening", "run", "url_of"]

_PATIENCE = 5  # seconds that requests at work may take when the server is ended


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes any that is free.

    Raises:
        ConfigError: no such host.
        ResourceError: the port is taken, or not ours to take.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except socket.gaierror as error:
        template = "--host {host} is no address of this machine; use 127.0.0.1, or 0.0.0.0 for all that it has"
        raise ConfigError(template, host=host) from error
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            template = "--host {host} is no address of this machine; use 127.0.0.1, or 0.0.0.0 for all that it has"
            raise ConfigError(template, host=host) from error
        template = "port {port} cannot be listened at ({reason}); choose another with --port, or 0 for any"
        reason = os.strerror(error.errno) if error.errno else error
        raise ResourceError(template, port=port, reason=reason) from error


def url_of(listener: socket.socket) -> str:
    """The address for a browser on this machine."""
    host, port = listener.getsockname()[:2]
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def run(app: Any, listener: socket.socket, announce: Callable[[str], None]) -> None:
    """Serve until a signal comes; requests at work are answered first, for a few seconds.

    Args:
        announce: is told the address once somebody may come.

    Raises:
        KeyboardInterrupt: it was Ctrl-C.
        MissingExtra: uvicorn is not installed.
    """
    uvicorn = need("uvicorn", "serve")
    with listener:
        config = uvicorn.Config(
            app, log_level="error", access_log=False, server_header=False, timeout_graceful_shutdown=_PATIENCE,
        )  # fmt: skip
        announce(url_of(listener))
        uvicorn.Server(config).run(sockets=[listener])
