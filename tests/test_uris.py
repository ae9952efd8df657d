"""A URI leads to one file system for pyarrow, names in it are taken as they are, and it holds no credentials."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from speechlake import uris
from speechlake.corpora import load_corpora, make_corpus
from speechlake.errors import ConfigError, UsageError
from speechlake.feedback.source import found_source
from speechlake.feedback.spec import Import, ValueColumn
from speechlake.lake import Lake
from speechlake.uris import arrow_place, refuse_credentials, require_place, written_ns


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which stores are opened; they answer as pyarrow's S3 and HDFS do."""
    seen: list[str] = []

    def opened(store: str, pid: int) -> tuple[Any, str]:
        seen.append(store)
        scheme, _, rest = store.partition("://")
        return "a file system", "/" if scheme == "hdfs" else rest.rstrip("/")

    monkeypatch.setattr(uris, "_filesystem", opened)
    return seen


@pytest.mark.parametrize(
    ("uri", "opened", "path"),
    [
        ("s3://bucket/a/b.wav", "s3://bucket/", "bucket/a/b.wav"),
        ("s3a://bucket/a/b.wav", "s3://bucket/", "bucket/a/b.wav"),
        ("S3N://bucket/a/", "s3://bucket/", "bucket/a"),
        ("s3://bucket", "s3://bucket/", "bucket"),
        ("s3://bucket/", "s3://bucket/", "bucket"),
        ("s3a://bucket/odd name/50%20 #1?.wav", "s3://bucket/", "bucket/odd name/50%20 #1?.wav"),
        ("hdfs://host:8020/a/b.wav", "hdfs://host:8020/", "/a/b.wav"),
        ("hdfs://host:8020/", "hdfs://host:8020/", "/"),
    ],
)
def test_a_uri_leads_to_a_file_system_and_a_path_on_it(
    asked: list[str], uri: str, opened: str, path: str
) -> None:
    assert arrow_place(uri) == ("a file system", path)
    assert asked == [opened]


def test_a_scheme_that_nobody_knows_is_an_os_error() -> None:
    with pytest.raises(OSError, match="nosuch://place/ cannot be opened"):
        arrow_place("nosuch://place/x")


@pytest.mark.parametrize(
    "uri",
    [
        "s3://KEYID:hush@bucket/lake",
        "s3a://KEYID@bucket/lake",
        "s3://KEYID:hu/sh@bucket/lake",
        "S3A://KEYID:hush/lake",
        "gs://KEYID:hush",
        "hdfs://user:hush@host/lake",
        "abfss://container:hush@account.dfs.core.windows.net/lake",
        "s3://bucket/lake?access_key=KEYID&secret_key=hush",
        "https://account.blob.core.windows.net/c/x?sv=2024&sig=hush",
        "s3://bucket/x?X-Amz-Credential=KEYID&X-Amz-Signature=hush",
    ],
)
def test_a_uri_with_credentials_is_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(UsageError, match="holds credentials") as caught:
        refuse_credentials(uri, "the lake")
    assert "hush" not in str(caught.value)
    assert "KEYID" not in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        "/data/a@b:c/lake",
        "s3://bucket/a@b:c/what?.wav",
        "abfss://container@account.dfs.core.windows.net/lake",
        "hdfs://user@host/lake",
        "hdfs://host:8020/lake",
        "s3://bucket/x?token",
    ],
)
def test_a_uri_without_credentials_is_taken(uri: str) -> None:
    refuse_credentials(uri, "the lake")
    assert list(make_corpus(name="c", sources=[uri]).sources) == [uri]


@pytest.mark.parametrize(
    "place", [{"sources": ["s3://KEYID:hush@b/m"]}, {"roots": {"audio": "s3://K:hush@b/m"}}]
)
def test_a_corpus_with_credentials_in_its_places_is_refused(place: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="holds credentials") as caught:
        make_corpus(**{"name": "c", "sources": ["m.jsonl"], **place})
    assert "hush" not in str(caught.value)


NOWHERE = [
    # place, what is told of it
    ("", "is empty"),
    (" ", "is empty"),
    ("s3a:/KEYID:hush@bucket/lake", "Write s3a://"),
    ("file:/srv/lake", "Write /… alone, or file:///…"),
    ("file:/", "Write /… alone, or file:///…"),
]


@pytest.mark.parametrize(("uri", "told"), NOWHERE)
def test_a_place_that_would_silently_lie_in_the_present_folder_is_refused(uri: str, told: str) -> None:
    for place in ({"sources": [uri]}, {"sources": ["m"], "roots": {"audio": uri}}):
        with pytest.raises(ConfigError, match=f"a source or root .*{told}") as caught:
            make_corpus(**{"name": "c", **place})
        assert "hush" not in str(caught.value)
    nothing: Any = None
    with pytest.raises(UsageError, match=told):
        found_source(nothing, Import("asr", columns=(ValueColumn("loss", "loss"),)), uri)


@pytest.mark.parametrize("root", ["s3a:/bucket/lake", "file:/srv/lake"])
def test_a_lake_whose_scheme_has_one_slash_is_no_folder_here(root: str) -> None:
    nothing: Any = None
    with pytest.raises(UsageError, match="the lake begins with"):
        Lake(nothing, root)


def test_a_file_of_corpora_with_an_empty_place_is_named_with_its_field(tmp_path: Path) -> None:
    file = tmp_path / "corpora.yaml"
    file.write_text('corpora: [{name: c, sources: [""]}]')
    with pytest.raises(ConfigError, match=r"corpora.yaml: corpora\[0\].sources: a source or root is empty"):
        load_corpora(file)


PLACES = [
    # place, where that is
    (".", Path.cwd()),
    ("a/b", Path("a/b").absolute()),
    ("./s3a:/x", Path("s3a:/x").absolute()),
    ("/data/file:/x", Path("/data/file:/x")),
    ("file:///srv/lake", Path("/srv/lake")),
]


@pytest.mark.parametrize(("uri", "folder"), PLACES)
def test_a_place_that_is_a_path_or_a_uri_is_taken(uri: str, folder: Path) -> None:
    require_place(uri, "the lake")
    (source,) = make_corpus(name="c", sources=[uri]).sources
    assert Path(source.removeprefix("file://")) == folder


@pytest.mark.parametrize(
    ("told", "taken"),
    [(1_795_800_000_567_000_000, 1_795_800_000_000_000_000), (5_000_000_000, 5_000_000_000), (None, None)],
)
def test_of_the_time_of_a_remote_file_whole_seconds_count(told: int | None, taken: int | None) -> None:
    assert written_ns(SimpleNamespace(mtime_ns=told)) == taken
