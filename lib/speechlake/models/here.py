"""Which weights of a model lie on this machine, without fetching, joining or pinning anything."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from speechlake.models.files import WEIGHTS, cache_folder, file_sha256, package_folder
from speechlake.models.registry import HUB_ID, REGISTRY


def weights_here(model: str) -> str | None:
    """The sha256 of the weights that `resolve` would find on this machine's disk; None where it would fetch them."""
    entry = REGISTRY.get(model)
    places = [cache_folder() / "models" / model, Path(model).expanduser()]
    for folder in places if entry is None else places[:1]:
        if (folder / WEIGHTS).is_file():
            return file_sha256(folder / WEIGHTS)
    if entry is not None and entry.packages:
        homes = [home / entry.folder for home in map(package_folder, entry.packages) if home is not None]
        names = entry.parts or (WEIGHTS,)
        parts = [home / name for home, name in zip(homes, names, strict=False)]
        if len(homes) == len(entry.packages) and all(part.is_file() for part in parts):
            return _sha256_of(parts)
    hub_id = entry.hub if entry is not None else model
    return _from_hub(hub_id) if HUB_ID.fullmatch(hub_id) else None


def _sha256_of(parts: Sequence[Path]) -> str:
    """Digest of files one behind the other."""
    if len(parts) == 1:
        return file_sha256(parts[0])
    digest = hashlib.sha256()
    for part in parts:
        with part.open("rb") as data:
            while block := data.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _from_hub(hub_id: str) -> str | None:
    """Weights in the hub client's own cache."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(hub_id, WEIGHTS)
    return file_sha256(Path(found)) if isinstance(found, str) else None
