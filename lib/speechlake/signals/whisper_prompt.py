"""What is said to Whisper before a text, prompt and hotwords, shares its 448 positions with the text."""

from __future__ import annotations

from pathlib import Path

from speechlake.errors import UsageError

POSITIONS = 448
# Tokens before a text: half of the positions is for the text. Each alone is cut to it, as Whisper itself does.
MOST_BEFORE = POSITIONS // 2 - 1


def require_room(folder: Path, prompt: str | None, hotwords: str | None) -> None:
    """UsageError where prompt and hotwords together leave the text less than half of the positions."""
    own = folder / "tokenizer.json"
    if prompt is None or hotwords is None or not own.is_file():
        return
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(own))
    tokens = sum(
        min(MOST_BEFORE, len(tokenizer.encode(f" {said.strip()}", add_special_tokens=False).ids))
        for said in (prompt, hotwords)
    )
    if tokens > MOST_BEFORE:
        raise UsageError(
            f"prompt and hotwords are {tokens} tokens, and Whisper hears no more than {MOST_BEFORE} before a text",
            hint="Shorten --prompt or --hotwords.",
        )


def token_limits(most: int, before: int, positions: int = POSITIONS) -> tuple[int, int]:
    """(CTranslate2's `max_length`, tokens that a text may have) for `most` wanted, behind `before` tokens.

    CTranslate2 stops after half of `max_length`, or where prompt and text fill it, and fails beyond `positions`.
    """
    length = min(max(2 * most, most + before - 1), positions)
    return length, min(most, length - before + 1)
