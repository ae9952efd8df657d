"""Models from the hub: the copy that is already on disk, else one download."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

from speechlake.errors import DiskFull, ModelError, NoHub, SpeechlakeError
from speechlake.models.files import TOKENIZER, WEIGHTS

# What CTranslate2 and faster-whisper read of a converted model; nothing else is fetched, code least of all.
FILES = ("config.json", "preprocessor_config.json", "model.bin", "tokenizer.json", "vocabulary.*")
# Packages by which versions of the hub client speak to it; of their errors without an answer, others may follow.
TRANSPORTS = ("httpx2", "httpx", "requests", "urllib3")
# Answers that pass, besides those from 500 on.
PASSING = (408, 429)


def snapshot(hub_id: str) -> Path:
    """Folder with the files of `hub_id`, in the hub client's own cache; ModelError where it cannot be had.

    NoHub or DiskFull where another try may have it.
    A whole copy on disk is used as it is, so that a moved branch neither changes a running lake nor needs
    the network. HF_HOME, HF_HUB_OFFLINE and the client's other settings keep their meaning.
    """
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(hub_id, allow_patterns=list(FILES), local_files_only=True))
    except Exception:
        # Not there; the client has many errors for it and the answer is one: fetch it.
        return _download(hub_id)
    # What a killed download left, the client takes for whole.
    whole = all((folder / name).is_file() for name in (WEIGHTS, TOKENIZER))
    return folder if whole else _download(hub_id)


def _download(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(hub_id, allow_patterns=list(FILES)))
    except Exception as error:
        # Offline, no such model, no access: the user gets one line of it, the chain keeps the rest.
        said = (str(error).strip().splitlines() or [""])[0]
        raise _kind(error)(
            f"model {hub_id} is not on this machine and cannot be fetched ({type(error).__name__}: {said}).",
            hint="Fetch it where there is a network and give its folder with --model FOLDER, "
            "or use whisper-tiny.en or whisper-base, which install as packages.",
        ) from error


def _kind(error: BaseException) -> type[SpeechlakeError]:
    """What an error of the client comes down to: a full disk, a hub that may answer another time, or neither."""
    from huggingface_hub.errors import OfflineModeIsEnabled

    chain = [*_causes(error)]
    if any(getattr(each, "errno", None) in (errno.ENOSPC, errno.EDQUOT) for each in chain):
        return DiskFull
    answers = [said for each in chain if (said := getattr(each, "response", None)) is not None]
    if answers:
        passing = all(said.status_code >= 500 or said.status_code in PASSING for said in answers)
        return NoHub if passing else ModelError
    if any(isinstance(each, OfflineModeIsEnabled) for each in chain):
        return ModelError
    silent = any(
        isinstance(each, ConnectionError | TimeoutError)
        or type(each).__module__.partition(".")[0] in TRANSPORTS
        for each in chain
    )
    return NoHub if silent else ModelError


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
