"""Where models run: the CPU, or an accelerator that CTranslate2 sees."""

from __future__ import annotations

from speechlake.errors import UsageError


def device_named(asked: str) -> str:
    """cpu or cuda. A missing device is an error, never a silent CPU run, unless `auto` was asked."""
    if asked == "cpu":
        return "cpu"
    import ctranslate2

    devices = int(ctranslate2.get_cuda_device_count())
    if asked == "cuda" and devices == 0:
        raise UsageError(
            "--device cuda, but CTranslate2 sees no CUDA device", hint="Use --device cpu, or --device auto."
        )
    return "cuda" if devices else "cpu"
