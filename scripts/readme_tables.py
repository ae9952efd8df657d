"""Keep generated tables current: a lake's tables and the columns of `utterances_now` in the README, the plain
columns of rules in docs/policies.md, and codes with what they mean in docs/reasons.md.

    .venv/bin/python scripts/readme_tables.py [--check] [PAGE...]

They come from the contracts in schemas/ and from the code, without Spark; tests/test_readme.py compares the columns
with the view itself. With --check nothing is written, and a page that is not current ends with 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from speechlake.audio.errors import CODES
from speechlake.feedback.rows import REASONS as REASONS_OF_IMPORTS
from speechlake.manifests.record import REASONS as REASONS_OF_LINES
from speechlake.manifests.roles import NAMED_ROLES, ROLES, TEXTS
from speechlake.schemas import (
    DUPLICATES,
    RECORDINGS,
    SCORES,
    SPLITS,
    TABLES,
    TRANSCRIPTS,
    UTTERANCES,
    Column,
    Table,
)
from speechlake.signals import EXTRACTORS
from speechlake.splits.columns import COLUMNS, column_named
from speechlake.splits.policy import REASONS as REASONS_OF_POLICIES
from speechlake.splits.signals import DERIVED
from speechlake.views import SCORE_COLUMNS, value_columns

README = Path(__file__).resolve().parent.parent / "README.md"
POLICIES = README.parent / "docs" / "policies.md"
CODES_PAGE = README.parent / "docs" / "reasons.md"

# Of `utterances`, what the view leaves out: it holds current rows only, and `byte_offset` is the audio's.
NOT_IN_VIEW = ("byte_offset", "retired_in")
PLACE = ("root", "path", "container", "member", "byte_offset", "byte_length", "listing_key")

Row = tuple[str, ...]
# What the field of each role says.
OF_ROLES = {
    "audio": "Where the audio lies: a path, or a URI under a root.",
    "channel": "Which channel: a number from 0, A or B, or mix.",
    "start": "Where the utterance starts in the file [s].",
    "end": "Where it ends [s].",
    "duration": "How long it is [s]; without a start, how long the file is.",
    "source_id": "The corpus's own name of the utterance.",
    "speaker": "Who speaks.",
    "session": "Session or conversation.",
    "language": "Language, by name or code.",
    "sample_rate": "Sample rate of the file [Hz].",
    "channels": "How many channels the file has.",
    "text": "What is said: the text `manifest`.",
}


def rows_of_tables() -> Iterator[Row]:
    """(name, key, holds) of every table, in the order of the flow."""
    for table in TABLES.values():
        yield f"`{table.name}`", ", ".join(table.key), table.comment


def rows_of_view() -> Iterator[Row]:
    """(name, type, meaning) of every column of `utterances_now`, grouped by what it says."""
    for column in UTTERANCES.columns:
        if column.name not in NOT_IN_VIEW:
            yield told(column)
    yield from named(RECORDINGS, PLACE)
    yield told(RECORDINGS.column("state"), "recording_state")
    yield "content_sha256", "string", "Hash of the recording's bytes; null where they were never read."
    for extractor in EXTRACTORS:
        yield from _signal(extractor)
    for name, derived in DERIVED.items():
        yield name.replace(".", "_"), derived.type, derived.meaning
    for name, meaning in (("source", "Always `manifest`."), ("sha256", "Hash of the text.")):
        yield f"text_{name}", "string", meaning
    yield "text", TRANSCRIPTS.column("text").type, "The manifest's own text, verbatim."
    yield from named(SCORES, SCORE_COLUMNS, "score_")
    yield from named(DUPLICATES, ("cluster_id", "overlap_id"))
    yield told(DUPLICATES.column("kind"), "duplicate_kind")
    yield told(SPLITS.column("split"), "split", "in the release published last; null where it is excluded.")
    yield "excluded_by", "string", "First rule or reason that keeps it out of that release."


def _signal(extractor: str) -> Iterator[Row]:
    table = TABLES[f"signals_{extractor}"]
    yield f"{extractor}_fingerprint", "string", f"What measured; null where `{extractor}` has no row."
    yield from named(table, value_columns(extractor), f"{extractor}_")
    yield f"{extractor}_attempt_code", "string", "Last transient failure, where there is no row."


def named(table: Table, names: Iterable[str], prefix: str = "") -> Iterator[Row]:
    """Columns of `table`, renamed by a prefix."""
    return (told(table.column(name), f"{prefix}{name}") for name in names)


def told(column: Column, name: str | None = None, more: str = "") -> Row:
    """A column as a row; its unit goes behind its meaning, as does `more`."""
    meaning = f"{column.comment.removesuffix('.')} [{column.unit}]." if column.unit else column.comment
    return name or column.name, column.type, f"{meaning.removesuffix('.')} {more}" if more else meaning


def rows_of_columns() -> Iterator[Row]:
    """(name, type, meaning) of every plain column that a rule may read."""
    for column in COLUMNS.values():
        yield f"`{column.name}`", column.type, column.meaning
    extra = column_named("extras.name")
    assert extra is not None
    yield "`extras.<name>`", extra.type, extra.meaning


def rows_of_roles() -> Iterator[Row]:
    """(role, meaning, names) of every role that `--column` may give to a field."""
    names = {**ROLES, "text": TEXTS}
    for role in NAMED_ROLES:
        yield f"`{role}`", OF_ROLES[role], ", ".join(f"`{name}`" for name in names[role])


def rows_of_codes() -> Iterator[Row]:
    """(code, meaning, whether later runs try again) of every error code of audio."""
    for name, code in CODES.items():
        yield f"`{name}`", code.sentence, "yes" if code.transient else "no"


def meanings(reasons: Mapping[str, str]) -> Iterator[Row]:
    """(reason, meaning) of each."""
    return ((f"`{name}`", meaning) for name, meaning in reasons.items())


def markdown(head: Row, rows: Iterable[Row]) -> str:
    """A table in Markdown; bars and angle brackets inside cells are escaped."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    # A type such as array<struct<…>> would be taken for HTML outside of backticks.
    return f"`{text}`" if "<" in text and "`" not in text else text.replace("|", r"\|")


def generated(page: str) -> dict[str, str]:
    """The text between each pair of markers of the page of that name, by the markers' name."""
    if page == POLICIES.name:
        return {"columns": markdown(("column", "type", "meaning"), rows_of_columns())}
    if page == CODES_PAGE.name:
        return {
            "lines": markdown(("reason", "meaning"), meanings(REASONS_OF_LINES)),
            "roles": markdown(("role", "the field says", "names that are known"), rows_of_roles()),
            "audio": markdown(("code", "meaning", "tried again"), rows_of_codes()),
            "policies": markdown(("reason", "meaning"), meanings(REASONS_OF_POLICIES)),
            "imports": markdown(("reason", "meaning"), meanings(REASONS_OF_IMPORTS)),
        }
    columns = ((f"`{name}`", kind, meaning) for name, kind, meaning in rows_of_view())
    return {
        "tables": markdown(("table", "key", "holds"), rows_of_tables()),
        "utterances_now": markdown(("column", "type", "meaning"), columns),
    }


def current(text: str, page: str) -> str:
    """`text` of a page with every generated part as it should be; ends the program where a marker is missing."""
    for name, part in generated(page).items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
            raise SystemExit(f"{page}: expected one {begin} and one {end} behind it")
        head, tail = text.split(begin)[0], text.split(end)[1]
        text = f"{head}{begin}\n\n{part}\n\n{end}{tail}"
    return text


def main(argv: Sequence[str] | None = None) -> int:
    """Write the pages, or say whether they are current; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--check", action="store_true", help="write nothing; 1 when not current")
    parser.add_argument("page", nargs="*", type=Path, default=[README, POLICIES, CODES_PAGE])
    said = parser.parse_args(argv)
    code = 0
    for page in said.page:
        before = page.read_text("utf-8")
        after = current(before, page.name)
        if before == after:
            continue
        if said.check:
            print(f"{page} is not current: run scripts/readme_tables.py", file=sys.stderr)
            code = 1
        else:
            page.write_text(after, "utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
