"""URIs of lakes, manifests and audio: the one way from a URI to a file system.

Tables go through Hadoop's file systems, manifests and audio through pyarrow's. The two spell some schemes
differently, and each finds credentials in a place of its own (docs/cluster.md), never in the URI, which would
carry them into tables, logs and errors.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from speechlake.errors import NoStore, SpeechlakeError, UsageError

# Hadoop's names of file systems that pyarrow knows by another.
ARROW_SCHEMES: Final[Mapping[str, str]] = {"s3a": "s3", "s3n": "s3"}
# In these a name before the host is part of the place: the container of a storage account, a user of HDFS.
_NAMED_BEFORE_HOST: Final = frozenset({"abfs", "abfss", "wasb", "wasbs", "hdfs", "viewfs"})
# In these nothing but a password follows a colon: a slash in it ends what looks like the host.
_WITHOUT_PORTS: Final = frozenset({"s3", "s3a", "s3n", "gs", "gcs"})
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_ONE_SLASH: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/(?!/)")
_PARTS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?]*)([^?]*)(?:\?(.*))?", re.DOTALL)
_KEY_IN_QUERY: Final = re.compile(
    r"(?i)(?:^|&)(?:[^=&]*(?:access_?key|secret|token|password|credential|signature)[^=&]*|sig)="
)
# What no other try mends: by its class, or as Arrow's file systems (and `_filesystem`) say it.
_FOR_GOOD: Final = (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError)
_REFUSED: Final = re.compile(
    r"ACCESS_DENIED|INVALID_ACCESS_KEY|SIGNATURE|NO_SUCH|access denied|forbidden|credential|\b40[0134]\b|"
    "cannot be opened",
    re.IGNORECASE,
)


def is_local(uri: str) -> bool:
    """True for plain paths and `file://`."""
    found = _SCHEME.match(uri)
    return found is None or found[1].lower() == "file"


def local_path(uri: str) -> bytes:
    """The path of a local `uri`; percent-encoding is decoded only after `file://`."""
    if _SCHEME.match(uri):
        path = uri.split("://", 1)[1]
        return unquote_to_bytes(path[path.index("/") :] if "/" in path else f"/{path}")
    return os.fsencode(uri)


def unseen(message: str, uri: str, error: OSError, *, hint: str | None = None) -> SpeechlakeError:
    """What to raise where `uri` cannot be looked at: NoStore for a store that may answer another time, else UsageError
    with `hint`."""
    if is_local(uri) or isinstance(error, _FOR_GOOD) or _REFUSED.search(str(error)):
        return UsageError(message, hint=hint)
    return NoStore(message, hint="Run the same command again once the store answers.")


def require_place(uri: str, what: str) -> None:
    """UsageError where `uri` would silently be a place in the present folder, or holds credentials.

    That is one that is empty, or whose scheme has one slash: `s3a:/bucket/lake`. It is not repeated.
    """
    if not uri.strip():
        raise UsageError(f"{what} is empty", hint="The present folder is '.'.")
    found = _ONE_SLASH.match(uri)
    if found is not None:
        scheme = found[1]
        meant = "/… alone, or file:///…" if scheme.lower() == "file" else f"{scheme}://…"
        raise UsageError(
            f"{what} begins with {found[0]!r}, which is neither a path nor a URI",
            hint=f"Write {meant}; a folder of that name is ./{found[0]}….",
        )
    refuse_credentials(uri, what)


def refuse_credentials(uri: str, what: str) -> None:
    """UsageError where `uri` carries a password, a key or a signature; it is not repeated in the message."""
    found = _PARTS.fullmatch(uri)
    if found is None:
        return
    scheme, authority, _, query = found.groups()
    user, at, _ = authority.rpartition("@")
    in_authority = at and (":" in user or scheme.lower() not in _NAMED_BEFORE_HOST)
    in_authority = in_authority or (":" in authority and scheme.lower() in _WITHOUT_PORTS)
    if in_authority or (query and _KEY_IN_QUERY.search(query)):
        raise UsageError(
            f"{what}, a {scheme}:// URI, holds credentials, which would end up in tables and logs.",
            hint="Leave them out and give them by the environment or Spark's settings: docs/cluster.md says which.",
        )


def arrow_place(uri: str) -> tuple[Any, str]:
    """pyarrow's file system for a remote `uri`, and the path on it.

    Names are taken as they are: an object may be called `a b%20c?.wav`. OSError where there is no such file
    system or it cannot be reached. One client per store and process: a fork breaks them.
    """
    scheme, _, rest = uri.partition("://")
    authority, _, path = rest.partition("/")
    known = ARROW_SCHEMES.get(scheme.lower(), scheme.lower())
    # Only the bucket, container or host: pyarrow would decode percent signs in the rest, and stumble over spaces.
    filesystem, base = _filesystem(f"{known}://{authority}/", os.getpid())
    return filesystem, f"{base.rstrip('/')}/{path.rstrip('/')}" if path.strip("/") else base


def written_ns(info: Any) -> int | None:
    """When a remote file was written, of pyarrow's FileInfo: whole seconds, as nanoseconds; null where unknown.

    Listings of some stores (MinIO) tell milliseconds, a look at one object, which is an HTTP date, only seconds.
    """
    second = 1_000_000_000
    return None if info.mtime_ns is None else info.mtime_ns // second * second


@lru_cache(maxsize=64)
def _filesystem(store: str, pid: int) -> tuple[Any, str]:
    from pyarrow import ArrowException
    from pyarrow.fs import FileSystem

    try:
        filesystem, base = FileSystem.from_uri(store)
    except (ArrowException, OSError) as error:
        raise OSError(f"{store} cannot be opened: {error}") from error
    return filesystem, base
