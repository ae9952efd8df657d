"""Two small corpora of real speech, one of them broken, and what a lake holds of them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from conftest import PROJECT, PYTHON

SPEECH = PROJECT / "build" / "speech"
CLIPS = 6
FILE = """\
corpora:
  - {name: broken, sources: [broken/manifest.jsonl], language: en, licence: CC-BY-SA-3.0}
  - {name: prompts, sources: [prompts/manifest.jsonl], language: en, licence: CC-BY-SA-3.0}
"""
# With deltalake, because another Spark would only say how it reads its own tables.
READ = """
import json, sys
from pathlib import Path
from deltalake import DeltaTable
found = {}
for table in sorted(Path(sys.argv[1]).iterdir()):
    if (table / "_delta_log").is_dir():
        rows = DeltaTable(str(table)).to_pyarrow_table().to_pylist()
        found[table.name] = [{name: row.get(name) for name in sys.argv[2:] if name in row} for row in rows]
print(json.dumps(found))
"""


def lay_out(folder: Path) -> Path:
    """`prompts` with six clips and their texts; `broken` with one line of six that can be read."""
    assert (SPEECH / "texts").is_dir(), "run `make speech` first"
    texts = _texts(SPEECH / "texts" / "en.txt")
    voice = SPEECH / "en_US_f_Allison"
    clips = [file for file in sorted(voice.glob("*.wav")) if len(texts.get(file.stem, "").split()) > 3]
    lines = [
        {"audio_filepath": str(clip), "text": texts[clip.stem], "speaker": "Allison"}
        for clip in clips[:CLIPS]
    ]
    for name, bad in (("prompts", 0), ("broken", CLIPS - 1)):
        said = [json.dumps(line)[: 20 if n < bad else None] for n, line in enumerate(lines)]
        here = folder / name
        (here / "clips").mkdir(parents=True, exist_ok=True)
        for line in lines:
            clip = Path(str(line["audio_filepath"]))
            (here / "clips" / clip.name).write_bytes(clip.read_bytes())
        (here / "manifest.jsonl").write_text("\n".join(said).replace(str(voice), "clips") + "\n")
    (folder / "corpora.yaml").write_text(FILE)
    return folder / "corpora.yaml"


def mend(folder: Path) -> None:
    """Give `broken` the manifest of the other, whose clips it has too."""
    (folder / "broken" / "manifest.jsonl").write_text((folder / "prompts" / "manifest.jsonl").read_text())


def tables(lake: Path, *columns: str) -> dict[str, list[dict[str, Any]]]:
    """These columns of every row, by table."""
    done = subprocess.run(
        [PYTHON, "-c", READ, str(lake), *columns], capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout))


def _texts(file: Path) -> dict[str, str]:
    pairs = (line.partition(":") for line in file.read_text("utf-8-sig").splitlines())
    return {name.strip(): text.strip() for name, _, text in pairs}
