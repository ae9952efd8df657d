"""One S3 server, the corpora on it, and one local run to compare with, for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from demo_share import Demo, curated
from store import BUCKET, Store

CORPORA = ("prompts", "russian", "odd")


@pytest.fixture(scope="session")
def demo(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """A share of the demo's corpora on a local disk, curated there."""
    return curated(speech, tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="session")
def store(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The server, with the corpora under `corpora/`."""
    made = Store.start(tmp_path_factory.mktemp("store"))
    try:
        for name in CORPORA:
            made.upload(demo.folder / name, f"corpora/{name}")
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def corpora(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`corpora.yaml` with sources on the store: both names of its scheme."""
    text = (demo.folder / "corpora.yaml").read_text()
    for name, scheme in zip(CORPORA, ("s3a", "s3", "s3a"), strict=True):
        assert f"sources: [{name}" in text
        text = text.replace(f"sources: [{name}", f"sources: [{scheme}://{BUCKET}/corpora/{name}")
    file = tmp_path_factory.mktemp("corpora") / "corpora.yaml"
    file.write_text(text)
    return file
