#!/usr/bin/env bash
# Packs benchmarks/gpu.py for a bare machine with an accelerator, which has torch and no network, as one file:
#   build/gpu-bench/gpu-bench.tar.xz
#       run.sh      sets paths and runs the benchmark; arguments go to it
#       gpu.py      benchmarks/gpu.py
#       site/       speechlake, and packages that the machine lacks, for PYTHON_VERSION
#       model/      whisper-tiny.en with weights in 8 bits: those in 16 do not fit beside CTranslate2
#       speech/     all English prompts in Opus (20 minutes, which gpu.py repeats), with texts.tsv
# There: tar xJf gpu-bench.tar.xz && gpu-bench/run.sh --out gpu.json. The machine has torch, numpy, onnxruntime,
# tokenizers and huggingface-hub. Its Python is PYTHON_VERSION (default 3.12); its processor is like this one's.
# Run `make speech` before.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

python_version=${PYTHON_VERSION:-3.12}
most_bytes=$((64 << 20))
pack=build/gpu-bench/gpu-bench
archive=$pack.tar.xz
# ctranslate2 4.8.5 is a wheel of 43 MB; packed anew, with its two halves side by side, it takes 25.
packages=(ctranslate2 faster-whisper soundfile cffi rapidfuzz whisper-normalizer more-itertools regex langcodes)

[ -d build/speech/texts ] && [ -x .venv/bin/python ] || fail "there is no speech, or no .venv: run make speech first"
export SPEECHLAKE_CACHE=${SPEECHLAKE_CACHE:-$PWD/build/cache}
rm -rf build/gpu-bench
mkdir -p "$logs" "$pack/site/speechlake"

say "==> fetching packages for Python $python_version"
logged gpu-bench .venv/bin/python -m pip install --disable-pip-version-check --no-compile --no-deps \
    --only-binary :all: --python-version "$python_version" --target "$pack/site" -c constraints.txt "${packages[@]}" ||
    fail "pip could not fetch packages (see $logs/gpu-bench.log): is the package index reachable from here?"
# Command lines, and models of voice activity that the benchmark does not use.
rm -rf "$pack/site/bin" "$pack"/site/faster_whisper/assets/*
cp -RL lib/speechlake/. "$pack/site/speechlake/"
cp benchmarks/gpu.py "$pack/"
find "$pack" -name __pycache__ -prune -exec rm -rf {} +

say '==> writing weights in 8 bits, and speech in Opus'
PYTHONPATH=benchmarks .venv/bin/python - "$pack" <<'PYTHON'
import shutil
import struct
import sys
from pathlib import Path

import numpy as np
import soundfile
from _clips import prompts
from gpu import SPEECH, TEXTS, clip_of, save_whisper

from speechlake.models.registry import resolve
from speechlake.signals.extractor import RATE_HZ
from speechlake.signals.whisper_memory import WIDTH_OF_HEAD

# CTranslate2's numbers of types, of those that the weights have; the others are in the specification already.
FLOATS = {0: np.float32, 4: np.float16}


def weights_of(path: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of a weights file by name: the layout is that of CTranslate2's `ModelSpec.serialize`."""
    found = {}
    with path.open("rb") as file:

        def number(form: str) -> int:
            return struct.unpack(form, file.read(struct.calcsize(form)))[0]

        def text() -> str:
            return file.read(number("=H")).rstrip(b"\0").decode()

        number("=I"), text(), number("=I")
        for _ in range(number("=I")):
            name, shape = text(), [number("=I") for _ in range(number("=B"))]
            kind, data = number("=B"), file.read(number("=I"))
            if shape:
                found[name] = np.frombuffer(data, FLOATS[kind]).reshape(shape)
    return found


pack = Path(sys.argv[1])
(pack / "model").mkdir()
folder = resolve("whisper-tiny.en").folder
weights = weights_of(folder / "model.bin")
heads = weights["decoder/embeddings/weight"].shape[1] // WIDTH_OF_HEAD
vocabulary = (folder / "vocabulary.txt").read_text("utf-8").split("\n")[: len(weights["decoder/embeddings/weight"])]
save_whisper(pack / "model", weights, heads, vocabulary, "int8")
# What surrounds the weights stays as it is.
(pack / "model" / "vocabulary.json").unlink()
for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
    shutil.copyfile(folder / name, pack / "model" / name)

(pack / "speech").mkdir()
lines, seconds = [], 0.0
for prompt in prompts(SPEECH.absolute(), ["en"], 1800):
    clip = clip_of(prompt.file)
    name = prompt.path.replace("/", "-").removesuffix(".wav") + ".opus"
    soundfile.write(pack / "speech" / name, clip.samples, RATE_HZ, format="OGG", subtype="OPUS")
    lines.append(f"{name}\t{prompt.text}\n")
    seconds += clip.duration_s
(pack / "speech" / TEXTS).write_text("".join(lines), "utf-8")
shutil.copytree(SPEECH / "copyright", pack / "speech" / "copyright")
print(f"    {len(lines)} clips, {seconds / 60:.1f} minutes")
PYTHON

cat >"$pack/run.sh" <<'RUN'
#!/usr/bin/env bash
# Runs the benchmark with what lies beside it; PYTHON names another Python than python3. Arguments go to gpu.py.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
links=$(mktemp -d)
trap 'rm -rf "$links"' EXIT

# CTranslate2 opens libcublas.so.12 by name. Where only the 13th is there, which has the same calls, it goes by both names.
folder=$("$python" - <<'PYTHON'
import importlib.util
from pathlib import Path

spec = importlib.util.find_spec("nvidia")
roots = [] if spec is None else [Path(root) for root in spec.submodule_search_locations or ()]
found = sorted(file.parent for root in roots for file in root.rglob("libcublas.so.1[23]"))
print(found[0] if found else "")
PYTHON
)
for name in cublas cublasLt; do
    for release in 12 13; do
        if [ -n "$folder" ] && [ -e "$folder/lib$name.so.$release" ]; then
            ln -sf "$folder/lib$name.so.$release" "$links/lib$name.so.12"
            ln -sf "$folder/lib$name.so.$release" "$links/lib$name.so.$release"
        fi
    done
done
export LD_LIBRARY_PATH="$links${folder:+:$folder}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export PYTHONPATH="$here/site${PYTHONPATH:+:$PYTHONPATH}"
"$python" "$here/gpu.py" --model "$here/model" --speech "$here/speech" "$@"
RUN
chmod +x "$pack/run.sh"

say '==> packing (about 2 minutes)'
# The dictionary holds both halves of CTranslate2, which are alike in parts.
tar -C build/gpu-bench --sort=name --owner=0 --group=0 -cf - gpu-bench | xz --x86 --lzma2=preset=9e,dict=192MiB >"$archive"
bytes=$(stat -c %s "$archive")
say "    $archive: $bytes bytes of at most $most_bytes"
[ "$bytes" -le "$most_bytes" ] || fail "$archive is larger than 64 MiB: pack less speech, or a smaller model"
