"""Chooses the ports of a data folder once, so that the next run finds them again."""

import errno
import json
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from deploy.local.locks import try_lock
from deploy.local.process import LocalServerError, Progress, silent

# Below the range from which Linux, macOS and Windows take ports of outgoing connections.
FIRST_PORT = 20_000
PORT_COUNT = 12_000
ATTEMPTS = 200
FRONT_DOOR = 8080
_CLAIMS = Path(tempfile.gettempdir()) / f"watchword-ports-{os.getuid()}"
# The locks of the ports that this process has given out.
_MINE: dict[int, int] = {}


def is_free(port: int) -> bool:
    """Says whether nobody listens on the port, on any address of this machine."""
    return _can_bind(socket.AF_INET, "0.0.0.0", port) and _can_bind(socket.AF_INET6, "::", port)


def free_port(preferred: int | None = None) -> int:
    """Returns a free port: the preferred one, else the next free one, else any."""
    for port in _candidates(preferred):
        if port not in _MINE and is_free(port) and _claim(port):
            return port
    raise LocalServerError(f"no free port found in {ATTEMPTS} attempts")


def choose_ports(
    data: Path, wanted: Mapping[str, int | None], *, on_progress: Progress = silent
) -> dict[str, int]:
    """Returns a free port for each name, the same as in earlier runs wherever that is possible."""
    file = data / "ports.json"
    stored = _stored(file)
    chosen: dict[str, int] = {}
    for name, preferred in wanted.items():
        chosen[name] = _choose(name, stored.get(name), preferred=preferred, on_progress=on_progress)
    data.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps(stored | chosen, indent=2) + "\n", encoding="utf-8")
    draft.replace(file)
    return chosen


def _choose(name: str, stored: int | None, *, preferred: int | None, on_progress: Progress) -> int:
    if stored is not None and is_free(stored) and _claim(stored):
        return stored
    port = free_port(preferred)
    if stored is not None:
        on_progress(f"port {stored} of {name} is taken by another program: using {port} from now")
    elif preferred is not None and port != preferred:
        on_progress(f"port {preferred} for {name} is taken by another program: using {port}")
    return port


def _claim(port: int) -> bool:
    """Keep a port for this process until it ends: it is bound seconds after it was chosen."""
    if port in _MINE:
        return True
    lock = try_lock(_CLAIMS / f"{port}")
    if lock is not None:
        _MINE[port] = lock
    return lock is not None


def _candidates(preferred: int | None) -> Iterator[int]:
    if preferred is not None:
        yield from range(preferred, min(preferred + ATTEMPTS, 65_536))
    for _ in range(ATTEMPTS):
        yield FIRST_PORT + secrets.randbelow(PORT_COUNT)


def _stored(file: Path) -> dict[str, int]:
    if not file.exists():
        return {}
    try:
        return {str(name): int(port) for name, port in json.loads(file.read_text("utf-8")).items()}
    except (ValueError, AttributeError, TypeError) as broken:
        raise LocalServerError(f"{file} is not readable; delete it to choose anew") from broken


def _can_bind(family: socket.AddressFamily, address: str, port: int) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As the servers do: a closed connection that lingers does not make a port taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((address, port))
    except OSError as refusal:
        # A machine without IPv6 has no one listening there either.
        return refusal.errno not in (errno.EADDRINUSE, errno.EACCES)
    return True
