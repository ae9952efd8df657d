"""Which model a name means, and that no weights but the expected ones get through."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import httpx2
import pytest
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

from speechlake.errors import DiskFull, ModelError, NoHub
from speechlake.models import registry
from speechlake.models.hub import snapshot
from speechlake.models.registry import REGISTRY, Entry, resolve, resolve_pinned

WEIGHTS = b"weights"
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


def model_folder(path: Path, weights: bytes = WEIGHTS) -> Path:
    """A folder that looks like a converted model."""
    path.mkdir(parents=True)
    (path / "model.bin").write_bytes(weights)
    (path / "tokenizer.json").write_text("{}")
    return path


def package(path: Path, name: str, **files: bytes) -> None:
    """An installed package with data files under `data/`."""
    (path / name / "data").mkdir(parents=True)
    (path / name / "__init__.py").write_text("raise RuntimeError('packages of models are not imported')")
    for file, content in files.items():
        (path / name / "data" / file.replace("__", ".")).write_bytes(content)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of models."""
    monkeypatch.setenv("SPEECHLAKE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub that has one model, in this folder."""
    folder = model_folder(tmp_path / "hub")
    monkeypatch.setattr(registry, "snapshot", lambda hub_id: folder)
    return folder


def register(monkeypatch: pytest.MonkeyPatch, name: str, entry: Entry) -> None:
    """Add a model to the registry for one test."""
    monkeypatch.setattr(registry, "REGISTRY", {**REGISTRY, name: entry})


def test_a_local_folder_is_a_model_with_the_digest_of_its_weights(tmp_path: Path, cache: Path) -> None:
    files = resolve(str(model_folder(tmp_path / "mine")))
    assert (files.sha256, files.licence) == (SHA256, None)


def test_a_folder_without_a_tokenizer_is_refused_for_none_may_be_fetched(tmp_path: Path) -> None:
    (model_folder(tmp_path / "m") / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"no tokenizer\.json"):
        resolve(str(tmp_path / "m"))


def test_an_unknown_name_is_refused_with_the_names_that_are_known(cache: Path) -> None:
    with pytest.raises(ModelError) as refused:
        resolve("whisper-enormous")
    assert "whisper-base, whisper-base.en, whisper-large-v2" in str(refused.value)


def test_registered_weights_with_another_digest_are_refused(cache: Path) -> None:
    model_folder(cache / "models" / "whisper-tiny.en", b"tampered")
    with pytest.raises(ModelError, match="expected 1a5afae06a4db91c"):
        resolve("whisper-tiny.en")


def test_weights_that_change_while_the_process_runs_are_noticed(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, "mine", Entry("a/b", "MIT", sha256=SHA256))
    folder = model_folder(cache / "models" / "mine")
    assert resolve("mine").sha256 == SHA256
    (folder / "model.bin").write_bytes(b"WEIGHTS!")
    with pytest.raises(ModelError):
        resolve("mine")


def test_a_folder_in_the_cache_comes_before_the_hub(
    cache: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, "mine", Entry("a/b", "MIT", sha256=SHA256))
    assert resolve("mine").folder == hub
    folder = model_folder(cache / "models" / "mine")
    assert (resolve("mine").folder, resolve("mine").licence) == (folder, "MIT")


def test_parts_in_packages_are_joined_once(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vocabulary = json.dumps(["a"]).encode()
    package(tmp_path, "parted_1", one=b"wei")
    package(tmp_path, "parted_2", two=b"ghts", tokenizer__json=b"{}", vocabulary__json=vocabulary)
    monkeypatch.syspath_prepend(tmp_path)
    entry = Entry("a/b", "MIT", SHA256, ("parted_1", "parted_2"), folder="data", parts=("one", "two"))
    register(monkeypatch, "parted", entry)
    files = resolve("parted")
    assert files.folder == cache / "models" / "parted"
    assert sorted(p.name for p in files.folder.iterdir()) == [
        "model.bin",
        "tokenizer.json",
        "vocabulary.json",
    ]
    assert (files.folder / "model.bin").read_bytes() == WEIGHTS
    before = (files.folder / "model.bin").stat().st_ino
    assert (resolve("parted").folder / "model.bin").stat().st_ino == before


def test_parts_that_join_to_other_weights_leave_nothing_behind(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(tmp_path, "broken_1", one=b"wei")
    package(tmp_path, "broken_2", two=b"GHTS")
    monkeypatch.syspath_prepend(tmp_path)
    entry = Entry("a/b", "MIT", SHA256, ("broken_1", "broken_2"), folder="data", parts=("one", "two"))
    register(monkeypatch, "broken", entry)
    with pytest.raises(ModelError, match="broken_1"):
        resolve("broken")
    assert [p.name for p in (cache / "models").iterdir()] == ["broken.lock"]


def test_a_hub_model_without_a_known_digest_is_pinned_on_first_use_and_refused_when_it_changes(
    cache: Path, hub: Path
) -> None:
    assert resolve("someone/whisper").sha256 == SHA256
    assert json.loads((cache / "pins.json").read_text()) == {"someone/whisper": SHA256}
    assert resolve("someone/whisper").sha256 == SHA256
    (hub / "model.bin").write_bytes(b"other weights")
    with pytest.raises(ModelError, match=r"pinned as .*\n.*remove the line of someone/whisper"):
        resolve("someone/whisper")


def test_a_registry_id_and_its_hub_id_share_one_pin(cache: Path, hub: Path) -> None:
    resolve("whisper-small")
    assert list(json.loads((cache / "pins.json").read_text())) == ["Systran/faster-whisper-small"]


def test_a_hub_model_with_a_known_digest_is_refused_when_it_differs(cache: Path, hub: Path) -> None:
    with pytest.raises(ModelError, match="expected 905e5bf8"):
        registry._from_hub("whisper-base", "Systran/faster-whisper-base", REGISTRY["whisper-base"])


def test_damaged_pins_are_refused_not_overwritten(cache: Path, hub: Path) -> None:
    cache.mkdir()
    (cache / "pins.json").write_text("[]")
    with pytest.raises(ModelError, match=r"pins\.json is not a JSON object"):
        resolve("someone/whisper")
    assert (cache / "pins.json").read_text() == "[]"


def test_offline_the_error_is_one_line_and_says_what_to_do(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    def offline(*names: str, **options: object) -> str:
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(NoHub) as refused:
        resolve("whisper-large-v3")
    assert "\n" not in refused.value.message
    assert refused.value.message.startswith("model Systran/faster-whisper-large-v3 is not on this machine")
    assert "--model FOLDER" in str(refused.value.hint)


def answered(status: int) -> HfHubHTTPError:
    """What the client raises of an answer of the hub."""
    return HfHubHTTPError("no", response=httpx2.Response(status, request=httpx2.Request("GET", "http://h")))


FAILURES = [
    (httpx2.ConnectTimeout("slow"), NoHub, 5),
    (httpx2.ReadError("reset"), NoHub, 5),
    (answered(503), NoHub, 5),
    (answered(429), NoHub, 5),
    (answered(404), ModelError, 2),
    (answered(401), ModelError, 2),
    (OfflineModeIsEnabled("HF_HUB_OFFLINE"), ModelError, 2),
    (PermissionError(13, "Permission denied"), ModelError, 2),
    (OSError(28, "No space left on device"), DiskFull, 5),
]


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(("failure", "kind", "code"), FAILURES)
def test_a_hub_that_may_answer_another_time_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, kind: type, code: int, wrapped: bool
) -> None:
    import huggingface_hub

    def fails(*names: str, local_files_only: bool = False, **options: object) -> str:
        if local_files_only:
            raise LocalEntryNotFoundError("not here")
        if wrapped:
            raise LocalEntryNotFoundError("neither here nor there") from failure
        raise failure

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fails)
    with pytest.raises(kind) as refused:
        snapshot("someone/whisper")
    assert refused.value.exit_code == code


@pytest.mark.parametrize("missing", ["model.bin", "tokenizer.json"])
def test_what_a_killed_download_left_is_fetched_and_a_whole_copy_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    import huggingface_hub

    folder, asked = model_folder(tmp_path / "hub"), []

    def client(hub_id: str, *, local_files_only: bool = False, **options: object) -> str:
        asked.append(local_files_only)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", client)
    assert snapshot("someone/whisper") == folder
    (folder / missing).unlink()
    assert snapshot("someone/whisper") == folder
    assert asked == [True, True, False]


def test_a_worker_refuses_weights_that_the_driver_did_not_see(tmp_path: Path) -> None:
    folder = str(model_folder(tmp_path / "m"))
    assert resolve_pinned(folder, SHA256).sha256 == SHA256
    with pytest.raises(ModelError, match="on this machine"):
        resolve_pinned(folder, "0" * 64)


def test_the_packages_of_the_demo_hold_what_the_registry_says() -> None:
    tiny, base = resolve("whisper-tiny.en"), resolve("whisper-base")
    assert (tiny.licence, base.licence) == ("MIT", "MIT")
