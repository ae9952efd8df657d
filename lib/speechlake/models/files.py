"""Weights on disk: their sha256, the folders of installed packages, models that come in parts."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from speechlake.errors import ModelError

WEIGHTS, TOKENIZER = "model.bin", "tokenizer.json"

# (path, size, mtime_ns) -> digest. Per process: a worker on another machine reads its own copy again.
_digests: dict[tuple[str, int, int], str] = {}


def cache_folder() -> Path:
    """SPEECHLAKE_CACHE, else `~/.cache/speechlake`; created by those who write into it."""
    named = os.environ.get("SPEECHLAKE_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "speechlake"


def file_sha256(path: Path) -> str:
    """Digest of a file, read once per process while its size and time stay (145 MB take 0.1-0.3 s)."""
    stat = path.stat()
    key = (str(path.resolve()), stat.st_size, stat.st_mtime_ns)
    if key not in _digests:
        with path.open("rb") as data:
            _digests[key] = hashlib.file_digest(data, "sha256").hexdigest()
    return _digests[key]


def combined_sha256(*digests: str) -> str:
    """One digest for a model of several files: that of their digests, in order."""
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def package_folder(package: str) -> Path | None:
    """The folder of an installed package, without importing it; None where it is not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


def package_file(package: str, name: Path | str, sha256: str, *, missing: str, hint: str) -> Path:
    """A file in an installed package, verified; nothing is imported for it.

    ModelError, with `missing` and `hint` where it is not there, else where its bytes are others.
    """
    folder = package_folder(package)
    if folder is None or not (folder / name).is_file():
        raise ModelError(missing, hint=hint)
    require_sha256(folder / name, sha256)
    return folder / name


def join_parts(parts: Sequence[Path], others: Iterable[Path], target: Path, *, sha256: str) -> Path:
    """Make the folder `target` hold `parts` joined as weights, and `others` beside them.

    Safe for many processes at once and for a kill at any moment: it is made under another name, checked,
    and renamed, under a lock. ModelError where the joined weights are not `sha256`; nothing is left then.
    """
    from filelock import FileLock

    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if not (target / WEIGHTS).is_file():
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as work:
                made = Path(work) / "made"
                made.mkdir()
                _fill(made, parts, others, sha256)
                made.replace(target)
    return target


def _fill(folder: Path, parts: Sequence[Path], others: Iterable[Path], sha256: str) -> None:
    with (folder / WEIGHTS).open("wb") as out:
        for part in parts:
            with part.open("rb") as data:
                shutil.copyfileobj(data, out, 1 << 20)
        out.flush()
        os.fsync(out.fileno())
    require_sha256(folder / WEIGHTS, sha256, what=" + ".join(str(part) for part in parts))
    for other in others:
        shutil.copyfile(other, folder / other.name)


def require_sha256(path: Path, expected: str, *, what: str | None = None) -> str:
    """The file's digest, which is `expected`; otherwise ModelError, before anything opens the file."""
    found = file_sha256(path)
    if found != expected:
        raise ModelError(
            f"weights of {what or path} have sha256 {found[:16]}…, expected {expected[:16]}….",
            hint="Remove that copy and fetch the model again, or name another model with --model.",
        )
    return found
