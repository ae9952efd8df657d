"""Where references lead: under a root, or nowhere. Strings only, no file is touched."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from speechlake.manifests.record import Refused
from speechlake.manifests.references import Located, Roots, base_of, resolve_from

ROOTS = Roots.of(
    {"audio": "/data", "deep": "/data/deep", "cloud": "s3a://bucket/speech"},
    {"audio": ["/old/place"]},
)
MANIFEST = "/data/lists/train.jsonl"


def resolve(
    reference: str, manifest_uri: str, roots: Roots, *, relative_to: str = "manifest", verbatim: bool = False
) -> Located | Refused:
    return resolve_from(reference, base_of(manifest_uri, roots, relative_to), roots, verbatim=verbatim)


LOCATED = [
    ("a.wav", "audio", "lists/a.wav"),
    ("./x/../a.wav", "audio", "lists/a.wav"),
    ("../a.wav", "audio", "a.wav"),
    ("x//a.wav", "audio", "lists/x/a.wav"),
    ("/data/a.wav", "audio", "a.wav"),
    ("/data//b/./a.wav", "audio", "b/a.wav"),
    ("/data/deep/a.wav", "deep", "a.wav"),
    ("/old/place/b/a.wav", "audio", "b/a.wav"),
    ("$deep/b/a.wav", "deep", "b/a.wav"),
    ("${audio}/a.wav", "audio", "a.wav"),
    ("{cloud}/b//a.wav", "cloud", "b/a.wav"),
    ("file:///data/a%20b.wav", "audio", "a b.wav"),
    ("/data/a%20b.wav", "audio", "a%20b.wav"),
    ("s3://bucket/speech/a.wav", "cloud", "a.wav"),
    ("s3a://bucket/speech/a.wav", "cloud", "a.wav"),
    ("spa ces 'and' \"quotes\".wav", "audio", "lists/spa ces 'and' \"quotes\".wav"),
    ("名前/ñ.wav", "audio", "lists/名前/ñ.wav"),
    ("n\u0303.wav", "audio", "lists/n\u0303.wav"),
    ("call:1.wav", "audio", "lists/call:1.wav"),
    ("a?b#c*[1]{2}.wav", "audio", "lists/a?b#c*[1]{2}.wav"),
    (".hidden.wav", "audio", "lists/.hidden.wav"),
    ("-rf.wav", "audio", "lists/-rf.wav"),
]

REFUSED = [
    ("", "BAD_REFERENCE"),
    ("   ", "BAD_REFERENCE"),
    ("folder/", "BAD_REFERENCE"),
    ("/data/folder/", "BAD_REFERENCE"),
    ("..", "BAD_REFERENCE"),
    ("clips\\a.wav", "BAD_REFERENCE"),
    ("..\\..\\etc\\passwd", "BAD_REFERENCE"),
    ("\\\\host\\share\\a.wav", "BAD_REFERENCE"),
    ("//host/share/a.wav", "BAD_REFERENCE"),
    ("$HOME/a.wav", "BAD_REFERENCE"),
    ("${HOME}/a.wav", "BAD_REFERENCE"),
    ("{data_root}/a.wav", "BAD_REFERENCE"),
    ("$audio", "BAD_REFERENCE"),
    ("$audio/", "BAD_REFERENCE"),
    ("%audio%/a.wav", "BAD_REFERENCE"),
    ("~/a.wav", "BAD_REFERENCE"),
    ("~root/a.wav", "BAD_REFERENCE"),
    ("x" * 5000, "BAD_REFERENCE"),
    ("../../etc/passwd", "OUTSIDE_ROOT"),
    ("/etc/passwd", "OUTSIDE_ROOT"),
    ("/data", "OUTSIDE_ROOT"),
    ("/data/../etc/passwd", "OUTSIDE_ROOT"),
    ("/database/a.wav", "OUTSIDE_ROOT"),
    ("$audio/../../etc/passwd", "OUTSIDE_ROOT"),
    ("file:///etc/passwd", "OUTSIDE_ROOT"),
    ("file:///data/%2e%2e/etc/passwd", "OUTSIDE_ROOT"),
    ("s3://other/a.wav", "OUTSIDE_ROOT"),
    ("s3://bucket/speech/../secret.wav", "OUTSIDE_ROOT"),
    ("file://host/data/a.wav", "BAD_SCHEME"),
    ("file:a.wav", "BAD_SCHEME"),
    ("http://169.254.169.254/a.wav", "BAD_SCHEME"),
    ("HTTPS://x/a.wav", "BAD_SCHEME"),
    ("ftp://x/a.wav", "BAD_SCHEME"),
    ("tcp://x:1", "BAD_SCHEME"),
    ("data:audio/wav;base64,AAAA", "BAD_SCHEME"),
    ("concat:a.wav|/etc/passwd", "BAD_SCHEME"),
    ("subfile:,,start,0,end,9,,:/etc/passwd", "BAD_SCHEME"),
    ("made-up://x", "BAD_SCHEME"),
    ("cat /etc/passwd |", "PIPE"),
    ("sph2pipe -f wav a.sph | ", "PIPE"),
    ("| rm -rf /", "PIPE"),
    ("a\nb.wav", "CONTROL_CHARACTER"),
    ("a\x00.wav", "CONTROL_CHARACTER"),
    ("a\u2028b.wav", "CONTROL_CHARACTER"),
    ("a\x85b.wav", "CONTROL_CHARACTER"),
    ("file:///data/a%00.wav", "CONTROL_CHARACTER"),
    ("file:///data/a%ff.wav", "NAME_NOT_UTF8"),
]


@pytest.mark.parametrize(("reference", "root", "path"), LOCATED)
def test_a_reference_under_a_root_is_located(reference: str, root: str, path: str) -> None:
    assert resolve(reference, MANIFEST, ROOTS) == Located(root, path)


@pytest.mark.parametrize(("reference", "reason"), REFUSED, ids=lambda value: repr(value)[:40])
def test_any_other_reference_is_refused_with_its_reason(reference: str, reason: str) -> None:
    found = resolve(reference, MANIFEST, ROOTS)
    assert isinstance(found, Refused)
    assert found.reason == reason


@pytest.mark.parametrize("name", ["cat x |", "|x.wav", "http:/x.wav", "a\\b.wav", "$HOME/a.wav", "~x.wav"])
def test_names_that_were_listed_are_taken_as_they_are(name: str) -> None:
    assert resolve(name, "/data", ROOTS, relative_to="itself", verbatim=True) == Located("audio", name)


def test_a_listed_name_with_a_newline_is_refused() -> None:
    found = resolve("a\nb.wav", "/data", ROOTS, relative_to="itself", verbatim=True)
    assert isinstance(found, Refused)
    assert found.reason == "CONTROL_CHARACTER"


def test_relative_to_the_root_ignores_where_the_manifest_lies() -> None:
    assert resolve("a.wav", "/data/deep/x/list.csv", ROOTS, relative_to="root") == Located("audio", "a.wav")


def test_a_manifest_outside_every_root_falls_back_to_the_only_root() -> None:
    only = Roots.of({"here": "/data"})
    assert resolve("a.wav", "/elsewhere/list.jsonl", only) == Located("here", "a.wav")


def test_a_manifest_outside_every_root_is_refused_when_no_root_is_the_obvious_one() -> None:
    two = Roots.of({"here": "/data", "there": "/more"})
    assert resolve("a.wav", "/elsewhere/list.jsonl", two).reason == "NO_ROOT"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("audio/a.wav", Located("audio", "a.wav")),
        ("../calls/audio/a.wav", Located("audio", "a.wav")),
        ("other/b/a.wav", Located("other", "b/a.wav")),
        ("a.wav", Located("audio", "a.wav")),  # /data/calls/a.wav lies under no root
        ("audio", Located("audio", "audio")),
    ],
)
def test_a_manifest_beside_its_audio_is_what_references_start_from(reference: str, found: Located) -> None:
    roots = Roots.of({"audio": "/data/calls/audio", "other": "/data/calls/other"})
    assert resolve(reference, "/data/calls/2026-10.jsonl", roots) == found
    cloud = Roots.of({"audio": "s3://b/calls/audio", "other": "s3://b/calls/other"})
    assert resolve(reference, "s3a://b/calls/2026-10.jsonl", cloud) == found


def test_names_in_a_folder_that_lies_under_no_root_are_refused() -> None:
    found = resolve("001.wav", "/more", Roots.of({"audio": "/data"}), relative_to="itself", verbatim=True)
    assert found == Refused("NO_ROOT", "the folder /more lies under no root")


def test_a_variable_that_is_no_root_is_told_what_to_name() -> None:
    found = resolve("$data_root/a.wav", MANIFEST, ROOTS)
    assert isinstance(found, Refused)
    assert "--audio-root NAME=URI" in found.detail


def test_moving_a_root_keeps_root_and_path() -> None:
    before = resolve("/data/b/a.wav", MANIFEST, Roots.of({"audio": "/data"}))
    after = resolve(
        "/data/b/a.wav", "/new/lists/train.jsonl", Roots.of({"audio": "/new"}, {"audio": ["/data"]})
    )
    assert before == after == Located("audio", "b/a.wav")


def test_a_manifest_is_named_relative_to_its_root() -> None:
    assert ROOTS.relative("/data/deep/lists/a.tsv") == "deep:lists/a.tsv"
    assert ROOTS.relative("/elsewhere/a.tsv") == "/elsewhere/a.tsv"
    assert ROOTS.relative("/data/deep") == "deep:."


_PART = st.sampled_from(
    [
        "..",
        ".",
        "",
        "a",
        "é",
        "data",
        "deep",
        "etc",
        "~",
        "$x",
        "file:",
        "s3:",
        "bucket",
        "a|",
        "\\",
        "\n",
        "%2e%2e",
    ]
)


@example(parts="file://.", start="/data/")
@given(
    st.lists(_PART, max_size=8).map("/".join), st.sampled_from(["", "/", "//", "file://", "s3://", "/data/"])
)
def test_no_reference_ever_leaves_its_root(parts: str, start: str) -> None:
    found = resolve(start + parts, MANIFEST, ROOTS)
    if isinstance(found, Located):
        assert found.path == posixpath.normpath(found.path)
        assert not found.path.startswith(("/", ".."))
        assert found.path != "."
