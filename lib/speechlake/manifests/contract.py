"""What a manifest format is: one frozen value of `Format` per file of this folder, collected in `formats.FORMATS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from speechlake.manifests.options import ParseOptions
from speechlake.manifests.record import Record, Refusal, Refused

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Source:
    """One manifest that was found. Lines that start before `body_offset` are its header.

    `uri` is an absolute local path (`file://` and percent-encoded where its name is not UTF-8) or a
    URI. `size_bytes` is 0 for a folder, whose text is only known to whoever lists it.
    """

    uri: str
    format: str
    size_bytes: int
    header: str | None = None
    body_offset: int = 0

    def as_json(self) -> dict[str, Any]:
        """Plain values for options and plans."""
        return asdict(self)


@dataclass(frozen=True)
class Context:
    """What a line's parser may know besides the line: its file's name, header columns, the corpus's options."""

    uri: str
    options: ParseOptions
    columns: Any = None


@dataclass(frozen=True)
class Head:
    """The beginning of a file, for recognising it: base name in lower case without `.gz`, and its first lines."""

    name: str
    lines: tuple[bytes, ...]
    complete: bool = True
    """False when the last line goes on."""


Parse = Callable[[bytes, Context], Record | Refused | None]


@dataclass(frozen=True)
class Format:
    """A manifest format.

    `parse` is pure: one line without its end -> what it says, why it is refused, or None for a blank
    line. `recognises` answers from a file's name and first lines, never from the extension alone.
    `columns` turns the header into whatever `parse` wants to find in `Context.columns`; a Refusal
    there refuses every line. `suffixes`: how its files are called, without `.gz`; in a folder, files with
    other suffixes are not opened. `relative_to`: manifest (the folder of the manifest), root, or itself
    (a folder that is the manifest). `verbatim`: references are names of files that were listed, so
    that nothing in them is a scheme or a command.
    """

    name: str
    parse: Parse
    recognises: Callable[[Head], bool]
    columns: Callable[[str | None, ParseOptions], Any] | None = None
    suffixes: tuple[str, ...] = ()
    relative_to: str = "manifest"
    verbatim: bool = False
    is_folder: bool = False

    @property
    def has_header(self) -> bool:
        """True when the first line that is not blank names the columns."""
        return self.columns is not None

    def context(self, source: Source | Mapping[str, Any], options: ParseOptions) -> Context:
        """The context of all lines of one file."""
        found = source if isinstance(source, Source) else Source(**source)
        if self.columns is None:
            return Context(found.uri, options)
        try:
            return Context(found.uri, options, self.columns(found.header, options))
        except Refusal as refusal:
            return Context(found.uri, options, refusal.refused)


def is_gzipped(name: str) -> bool:
    """True for a manifest that is read through gzip, by its name or URI."""
    return name.lower().endswith(".gz")


def decoded(raw: bytes) -> str:
    """A line of a text format; refuses what is not UTF-8 (BAD_UTF8) or holds control characters but tabs."""
    if raw.translate(None, _CONTROLS) != raw:
        raise Refusal("CONTROL_CHARACTER", ascii(raw[:60])[1:])
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refusal("BAD_UTF8", f"byte {error.start} is {raw[error.start]:#04x}") from None


def is_blank(raw: bytes) -> bool:
    """True for a line of ASCII white space only."""
    return not raw or raw.isspace()


_CONTROLS: Final = bytes(n for n in range(32) if n != 9) + b"\x7f"
