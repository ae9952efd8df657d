"""What a session on this machine is told."""

from __future__ import annotations

import pytest

from speechlake import session


@pytest.mark.parametrize(("cores", "told"), [(1, True), (4, True), (5, False), (64, False)])
def test_the_optimising_compiler_is_left_out_where_it_would_take_the_few_cores(
    cores: int, told: bool
) -> None:
    assert ("-XX:TieredStopAtLevel=1" in list(session._java_options(cores))) is told
