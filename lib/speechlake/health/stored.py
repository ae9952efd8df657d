"""The tables of a lake, read by delta-rs, so that they can be looked at where Java is missing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from speechlake.health.finding import Finding, Patient, fine, look, mend, together
from speechlake.lake import PROPERTIES
from speechlake.lake_version import FOLDER, mismatch, newest
from speechlake.schemas import TABLES, Table

if TYPE_CHECKING:
    from deltalake import DeltaTable

OTHER_VERSION = "Install the version of speechlake that wrote this lake, or open another lake."


def version(patient: Patient) -> Finding:
    """Whether this code may read and write a lake of that version; every job asks the same."""
    from speechlake.manifests.places import entries

    root = str(patient.folder or patient.lake).rstrip("/")
    try:
        found = newest(os.fsdecode(entry.name) for entry in entries(f"{root}/{FOLDER}"))
    except FileNotFoundError:
        found = None
    wrong = mismatch(root, found)
    if wrong is not None:
        return mend("version", wrong.message, wrong.hint or "")
    return fine("version", "none is noted" if found is None else f"contract version {found}")


def tables(patient: Patient) -> Finding:
    """Versions of the tables, and whether each is as its contract says."""
    found, versions = [], []
    for name, contract in TABLES.items():
        try:
            table = opened(patient, name)
            if table is not None:
                versions.append(f"{name} {table.version()}")
                found += [*_drift(table, contract)]
        except Exception as error:
            fix = "See `speechlake status`; docs/running.md says where delta-rs takes credentials from."
            found.append(mend("tables", f"{name} cannot be read: {_first_line(error)}", fix))
    if not versions and not found:
        fix = "Check --lake; `speechlake ingest-manifests` makes one."
        return mend("tables", f"there is no lake at {patient.lake}", fix)
    return together("tables", found, f"{len(versions)} at versions: {', '.join(versions)}")


def files(patient: Patient) -> Finding:
    """Whether the files that the newest versions name are there, at their full size. On this machine's disks only."""
    if patient.folder is None:
        return fine("files", "not looked at on an object store")
    found, count = [], 0
    for name in TABLES:
        try:
            table = opened(patient, name)
        except Exception:
            continue  # `tables` says so
        uris = table.file_uris() if table is not None else []
        sizes = _sizes(table) if table is not None else {}
        gone = [uri for uri in uris if not _is_whole(uri.removeprefix("file://"), sizes)]
        count += len(uris)
        if table is not None and gone:
            told = f"{name} at version {table.version()} lacks {len(gone)} of {len(uris)} files, or parts of them, {gone[0]} first"
            fix = f"Put them back. Where there is no copy, `speechlake repair-table {name}` forgets them; docs/reliability.md."
            found.append(mend("files", told, fix))
    return together("files", found, f"{count} data files are there")


def _sizes(table: DeltaTable) -> dict[str, int]:
    """Bytes of the table's files by their names, as its log says."""
    import pyarrow as pa

    actions = pa.table(table.get_add_actions(flatten=True)).select(["path", "size_bytes"]).to_pylist()
    return {each["path"].rpartition("/")[2]: each["size_bytes"] for each in actions}


def _is_whole(path: str, sizes: Mapping[str, int]) -> bool:
    # Names of partitions are escaped in the log, and so on disk or not, by who wrote them.
    there = next((each for each in (Path(path), Path(unquote(path))) if each.exists()), None)
    return there is not None and there.stat().st_size == sizes.get(there.name)


def opened(patient: Patient, name: str) -> DeltaTable | None:
    """A table by delta-rs, at its newest version; None where it was never written."""
    from deltalake import DeltaTable

    uri = f"{str(patient.folder or patient.lake).rstrip('/')}/{name}"
    return DeltaTable(uri) if DeltaTable.is_deltatable(uri) else None


def rows_of(patient: Patient, name: str) -> list[dict[str, Any]]:
    """Rows of a small table; none without a lake, a table, or where it cannot be read (`tables` says so)."""
    import pyarrow as pa
    from deltalake import QueryBuilder

    if patient.lake is None:
        return []
    try:
        table = opened(patient, name)
        if table is None:
            return []
        # Not `to_pyarrow_table`: its file system calls Python from pyarrow's threads, and one that does so
        # while the interpreter ends aborts the process.
        found = QueryBuilder().register("rows", table).execute("select * from rows")
        return list(pa.table(found).to_pylist())
    except Exception:
        return []


def _drift(table: DeltaTable, contract: Table) -> Iterator[Finding]:
    """Where a stored table differs from its contract: columns, constraints, and settings that others rely on."""
    from pyspark.sql.types import StructType

    stored = StructType.fromJson(json.loads(table.schema().to_json()))
    kinds = {field.name: field.dataType.simpleString() for field in stored.fields}
    wanted = {column.name: column.type for column in contract.columns}
    for column in sorted(kinds.keys() | wanted.keys()):
        if kinds.get(column) != wanted.get(column):
            told = f"{contract.name}.{column} is {kinds.get(column, 'absent')}, the contract says {wanted.get(column, 'nothing')}"
            yield mend("tables", told, OTHER_VERSION)
    settings = table.metadata().configuration
    for setting in (*PROPERTIES, *(f"delta.constraints.{name}" for name in contract.checks)):
        expected = PROPERTIES.get(setting) or contract.checks[setting.rpartition(".")[2]]
        if settings.get(setting) != expected:
            told = f"{contract.name}: {setting} is {settings.get(setting)!r}, set was {expected!r}"
            yield look("tables", told, "Somebody changed it: ALTER TABLE … SET TBLPROPERTIES puts it back.")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
