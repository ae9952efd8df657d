"""Pins: the sha256 that a hub model had when it was first used here, in `<cache>/pins.json`."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from speechlake.errors import ModelError

PINS = "pins.json"


def check_pin(cache: Path, model: str, sha256: str) -> None:
    """Pin `model` to `sha256` if it has no pin; ModelError if it is pinned to other weights.

    Many processes may call this at once. Changing a pin is a person's decision: edit the file.
    """
    from filelock import FileLock

    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{PINS}.lock"):
        pins = _read(cache / PINS)
        if model not in pins:
            _write(cache / PINS, {**pins, model: sha256})
        elif pins[model] != sha256:
            raise ModelError(
                f"weights of {model} have sha256 {sha256[:16]}…, but were pinned as {pins[model][:16]}….",
                hint=f"If the change is meant, remove the line of {model} from {cache / PINS}.",
            )


def pinned(cache: Path) -> dict[str, str]:
    """Model -> sha256 of all pins; ModelError where the file is broken."""
    return _read(cache / PINS)


def _read(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        pins = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        pins = None
    if not isinstance(pins, dict) or not all(isinstance(value, str) for value in pins.values()):
        raise ModelError(f"{path} is not a JSON object of model to sha256.", hint="Repair or remove it.")
    return pins


def _write(path: Path, pins: dict[str, str]) -> None:
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, suffix=".tmp", delete=False, encoding="utf-8"
    ) as out:
        json.dump(pins, out, indent=1, sort_keys=True)
    Path(out.name).replace(path)
