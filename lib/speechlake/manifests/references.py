"""Where a manifest's reference to audio leads: a root's name and a path under it, or a refusal.

Pure work on strings: nothing is opened, nothing is run, and whether the file exists is not asked here.
Paths are kept exactly (no Unicode normalisation); only `.`, `..` and doubled slashes are resolved.

Rules, in this order. A reference under a URI or former URI of a root is (that root, rest): the longest
wins. `$name/…`, `${name}/…` and `{name}/…` start at the root called `name`. A relative reference is joined
to the manifest's folder, or to the root, as its format has it (`Format.relative_to`, option
`relative_to`); where the manifest lies under no root, and its reference leads under none, to the root
called `audio`, or the only one. Everything else is refused.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from urllib.parse import unquote_to_bytes

from speechlake.manifests.places import local_uri
from speechlake.manifests.record import Refused
from speechlake.uris import local_path

DEFAULT_ROOT: Final = "audio"
MAX_REFERENCE_CHARACTERS: Final = 4096
SCHEMES: Final = frozenset(
    {"file", "s3", "s3a", "s3n", "gs", "gcs", "hdfs", "viewfs", "abfs", "abfss", "wasb", "wasbs"}
)

# Without `//`, a colon is only taken for a protocol where FFmpeg or a browser would follow it:
# `call:1.wav` is a file.
_PROTOCOL_NAMES: Final = (
    "http https ftp ftps sftp data concat concatf subfile pipe fd tcp udp udplite tls rtp rtsp rtmp rtmpe rtmps "
    "rtmpt srtp srt sctp mms mmsh mmst gopher gophers crypto cache async tee md5 hls dash unix ipfs ipns icecast "
    "ffrtmphttp ffrtmpcrypt prompeg libsmbclient smb ssh javascript zip tar jar android_content bluray dvd"
)
_PROTOCOLS: Final = frozenset(_PROTOCOL_NAMES.split())
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(//)?")
_VARIABLE: Final = re.compile(r"(?:\$\w+|\$?\{\w+\}|%\w+%|~\w*)(?:/|$)", re.ASCII)
# As SpeechBrain writes the folder of a corpus: `$data_root` in tables, `{data_root}` in JSON.
_NAMED_ROOT: Final = re.compile(r"(?:\$(\w+)|\$?\{(\w+)\})/", re.ASCII)
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_PLAIN: Final = re.compile(r"/?(?:[\w-][\w.,=+@ -]*/)*[\w-][\w.,=+@ -]*(?<! )")
"""Nothing in such a reference needs a second look: no colon, bar, dollar, dot segments or controls."""


@dataclass(frozen=True, slots=True)
class Located:
    """Audio under a root; `path` is relative, without dot segments, and never empty."""

    root: str
    path: str


@dataclass(frozen=True, slots=True)
class Base:
    """What relative references of one manifest are joined to.

    `folder`: the manifest's own, where it lies under no root; what leads from there under one is taken so.
    `otherwise`: a root, with a path that may be empty, or why there is none.
    """

    otherwise: Located | Refused
    folder: str | None = None


@dataclass(frozen=True)
class Roots:
    """The roots of a corpus: (name, URI, former URIs), in declared order. Built by `Roots.of`."""

    declared: tuple[tuple[str, str, tuple[str, ...]], ...]

    @classmethod
    def of(cls, uris: Mapping[str, str], former: Mapping[str, Sequence[str]] | None = None) -> Roots:
        """Roots by name; local paths are made absolute. `former` names earlier URIs of each."""
        earlier = former or {}
        return cls(tuple((name, _absolute(uri), tuple(earlier.get(name, ()))) for name, uri in uris.items()))

    @cached_property
    def prefixes(self) -> tuple[tuple[str, str], ...]:
        """(normal prefix with a slash at its end, name), the longest first, present URIs before former ones."""
        found = [(normal(uri), 0, name) for name, uri, _ in self.declared]
        found += [(normal(old), 1, name) for name, _, former in self.declared for old in former]
        ranked = sorted(found, key=lambda item: (-len(item[0]), item[1], item[2]))
        return tuple((prefix.rstrip("/") + "/", name) for prefix, _, name in ranked)

    @cached_property
    def default(self) -> str | None:
        """The root that relative references fall back to: `audio`, or the only one."""
        names = [name for name, _, _ in self.declared]
        return DEFAULT_ROOT if DEFAULT_ROOT in names else names[0] if len(names) == 1 else None

    def locate(self, absolute: str) -> Located | None:
        """Root and path of a normal absolute reference; None when it lies under no root."""
        for prefix, name in self.prefixes:
            if absolute.startswith(prefix) and len(absolute) > len(prefix):
                return Located(name, absolute[len(prefix) :])
        return None

    def relative(self, uri: str) -> str:
        """`root:path` of what lies under a root, `root:.` of a root: how manifests are named in tables.

        Else `uri` as it is.
        """
        for prefix, name in self.prefixes:
            if f"{normal(uri)}/" == prefix:
                return f"{name}:."
        found = self.locate(normal(uri))
        if found is None or _control(found.path):
            return uri  # a name that is not UTF-8 stays the percent-encoded URI
        return f"{found.root}:{found.path}"


def normal(uri: str) -> str:
    """One spelling of a place: plain absolute path for local ones, `s3://…` for S3, no slash at the end."""
    head = _SCHEME.match(uri)
    if head is None or not head[2]:
        return uri.rstrip("/") or "/"
    scheme = head[1].lower()
    if scheme == "file":
        return local_path(uri).decode("utf-8", "surrogateescape").rstrip("/") or "/"
    scheme = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}.get(scheme, scheme)
    return f"{scheme}://{uri[head.end() :].rstrip('/')}"


def resolve_from(reference: str, base: Base, roots: Roots, *, verbatim: bool = False) -> Located | Refused:
    """Where `reference` leads, or why it is refused; `verbatim` names were listed, so nothing in them is a command.

    `base`: of relative references, found once per manifest (`base_of`).
    """
    if verbatim:
        return _control(reference) or _relative(reference, base.otherwise)
    if len(reference) <= MAX_REFERENCE_CHARACTERS and _PLAIN.fullmatch(reference):
        if reference[0] == "/":
            return roots.locate(reference) or _outside(reference)
    else:
        refused = _suspicious(reference)
        if refused:
            return refused
    if reference[0] == "/" or ":" in reference:
        absolute = _absolute_reference(reference, roots)
        if absolute is not None:
            return absolute
    if _VARIABLE.match(reference):
        return _from_named_root(reference, roots)
    if base.folder is not None:
        clean = _clean_uri(f"{base.folder}/{reference}")
        found = None if clean is None else roots.locate(clean)
        if found is not None and not reference.endswith("/"):
            return found
    return _relative(reference, base.otherwise)


def base_of(manifest_uri: str, roots: Roots, relative_to: str) -> Base:
    """What relative references of a manifest are joined to.

    `relative_to`: manifest (its folder), root, or itself (the manifest is the folder).
    """
    folder = None
    if relative_to != "root":
        here = normal(manifest_uri)
        folder = here if relative_to == "itself" else here.rsplit("/", 1)[0]
        for prefix, name in roots.prefixes:
            if f"{folder}/".startswith(prefix):
                path = folder[len(prefix) :]
                return Base(_control(path) or Located(name, path))
    if relative_to == "itself":
        # Joined to another folder, its names would mean what lies there.
        return Base(Refused("NO_ROOT", f"the folder {folder} lies under no root"))
    if roots.default is None:
        return Base(Refused("NO_ROOT", "a relative path, and no root called 'audio' to join it to"), folder)
    return Base(Located(roots.default, ""), folder)


def _absolute_reference(reference: str, roots: Roots) -> Located | Refused | None:
    """Where a path or URI leads; None for what is relative."""
    head = _SCHEME.match(reference)
    if head and head[1].lower() == "file":
        path = unquote_to_bytes(reference[head.end() :])
        text = path.decode("utf-8", "surrogateescape")
        refused = _control(text) or (
            None if head[2] and text.startswith("/") else Refused("BAD_SCHEME", reference)
        )
        if refused:
            return refused
        reference = text
    elif head and head[2]:
        reference = normal(reference)
    elif not reference.startswith("/"):
        return None
    clean = _clean_uri(reference)
    if clean is None:
        return Refused("OUTSIDE_ROOT", f"{reference} leads above everything")
    if reference.endswith("/"):
        return _folder(reference)
    return roots.locate(clean) or _outside(reference)


def _from_named_root(reference: str, roots: Roots) -> Located | Refused:
    """What starts with the name of a root as a variable; no other variable is known."""
    found = _NAMED_ROOT.match(reference)
    name = found and (found[1] or found[2])
    if found is None or all(name != root for root, _, _ in roots.declared):
        hint = "where it stands for a folder of audio, name that: --audio-root NAME=URI, the variable's NAME"
        return Refused("BAD_REFERENCE", f"starts with a variable that is no root ({hint}): {reference}")
    rest = reference[found.end() :]
    return _relative(rest, Located(str(name), "")) if rest else _folder(reference)


def _relative(reference: str, base: Located | Refused) -> Located | Refused:
    if isinstance(base, Refused):
        return base
    if reference.endswith("/"):
        return _folder(reference)
    joined = f"{base.path}/{reference}" if base.path else reference
    if "/." in joined or "//" in joined or joined[0] == ".":
        clean = posixpath.normpath(joined)
        if clean == ".." or clean.startswith(("../", "/")):
            return Refused("OUTSIDE_ROOT", f"{reference} leads out of root {base.root!r}")
        if clean == ".":
            return _folder(reference)
        joined = clean
    return Located(base.root, joined)


def _clean_uri(absolute: str) -> str | None:
    """An absolute path or URI without dot segments; None when `..` climbs above its start."""
    # A path may have `://` in it too: `/data/s3:///a.wav` is a file in the folder `s3:`.
    scheme, rest = ("", absolute) if absolute.startswith("/") else absolute.split("://", 1)
    clean = _clean(rest)
    return f"{scheme}://{clean}" if scheme and clean is not None else clean


def _clean(path: str) -> str | None:
    """An absolute path (or bucket and key) without dot segments; None when `..` climbs above its start."""
    depth = 0
    for part in path.split("/"):
        depth += -1 if part == ".." else 0 if part in ("", ".") else 1
        if depth < 0:
            return None
    clean = posixpath.normpath(path)
    return clean[1:] if clean.startswith("//") else clean


def _suspicious(reference: str) -> Refused | None:
    """The refusal of what may be a command, another protocol, or a trick; None for a path."""
    text = reference.strip()
    if not text:
        return Refused("BAD_REFERENCE", "empty")
    if text.endswith("|") or text.startswith("|"):
        return Refused("PIPE", reference)
    refused = _control(reference)
    if refused:
        return refused
    head = _SCHEME.match(text)
    if head and (head[2] or head[1].lower() in _PROTOCOLS) and head[1].lower() not in SCHEMES:
        return Refused("BAD_SCHEME", reference)
    if "\\" in reference:
        return Refused("BAD_REFERENCE", f"backslashes: {reference}")
    if reference.startswith("//"):
        return Refused("BAD_REFERENCE", f"a network path: {reference}")
    return None


def _control(reference: str) -> Refused | None:
    found = _CONTROL.search(reference)
    if found:
        reason = "NAME_NOT_UTF8" if found[0] >= "\ud800" and found[0] <= "\udfff" else "CONTROL_CHARACTER"
        return Refused(reason, ascii(reference))
    if len(reference) > MAX_REFERENCE_CHARACTERS:
        return Refused("BAD_REFERENCE", f"{len(reference)} characters: {reference}")
    return None


def _folder(reference: str) -> Refused:
    return Refused("BAD_REFERENCE", f"a folder: {reference}")


def _outside(reference: str) -> Refused:
    return Refused("OUTSIDE_ROOT", f"{reference} lies under no root")


def _absolute(uri: str) -> str:
    return uri if _SCHEME.match(uri) else local_uri(local_path(uri))
