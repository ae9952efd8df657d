"""Models from the hub: the copy that is already on disk, else one download."""

from __future__ import annotations

from pathlib import Path

from speechlake.errors import ModelError

# What CTranslate2 and faster-whisper read of a converted model; nothing else is fetched, code least of all.
FILES = ("config.json", "preprocessor_config.json", "model.bin", "tokenizer.json", "vocabulary.*")


def snapshot(hub_id: str) -> Path:
    """Folder with the files of `hub_id`, in the hub client's own cache; ModelError where it cannot be had.

    A copy on disk is used as it is, so that a moved branch neither changes a running lake nor needs
    the network. HF_HOME, HF_HUB_OFFLINE and the client's other settings keep their meaning.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(hub_id, allow_patterns=list(FILES), local_files_only=True))
    except Exception:
        # Not there, or only in part; the client has many errors for it and the answer is one: fetch it.
        return _download(hub_id)


def _download(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(hub_id, allow_patterns=list(FILES)))
    except Exception as error:
        # Offline, no such model, no access, disk full: the user gets one line of it, the chain keeps the rest.
        said = (str(error).strip().splitlines() or [""])[0]
        raise ModelError(
            f"model {hub_id} is not on this machine and cannot be fetched ({type(error).__name__}: {said}).",
            hint="Fetch it where there is a network and give its folder with --model FOLDER, "
            "or use whisper-tiny.en or whisper-base, which install as packages.",
        ) from error
