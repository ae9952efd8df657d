"""Column expressions as SQL text, so that a persistent view says what our code says, from the same source.

Spark spells its expressions out for people, not for its parser (`>(a, b)`); SQLGlot and its like write SQL from
SQL. What Spark keeps of a Column is a small tree, and this walks it: every function by its name in backticks,
which the parser takes even for operators (`+`(a, b)).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from speechlake.sql_text import literal, name

if TYPE_CHECKING:
    from pyspark.sql import Column

# What PySpark calls an argument of a lambda.
_ARGUMENT = re.compile(r"`([xyz])_\d+`")


def sql_of(column: Column) -> str:
    """The text of an expression; ValueError for a kind of node that no expression of ours has had so far."""
    classic: Any = column
    return _with_steady_names(_node(classic._jc.node()))


def _with_steady_names(text: str) -> str:
    """The text with arguments of functions numbered as they appear: Spark goes on counting them, `x_7`, for ever."""
    seen: dict[str, str] = {}
    return _ARGUMENT.sub(lambda found: seen.setdefault(found[0], f"`{found[1]}_{len(seen)}`"), text)


def _node(node: Any) -> str:
    kind = str(node.getClass().getSimpleName())
    if kind == "Literal":
        return _literal(node.value())
    if kind == "UnresolvedAttribute":
        return name(*_parts(node.nameParts()))
    if kind == "UnresolvedNamedLambdaVariable":
        return name(str(node.name()))
    if kind == "UnresolvedFunction":
        arguments = ", ".join(_node(each) for each in _parts(node.arguments()))
        # The parser takes names of fields (`x AS a`) behind this word only.
        function = str(node.functionName())
        return f"{function if function == 'struct' else name(function)}({arguments})"
    if kind == "UnresolvedExtractValue":
        return f"{_node(node.child())}[{_node(node.extraction())}]"
    if kind == "Alias":
        return f"{_node(node.child())} AS {name(*_parts(node.name()))}"
    if kind == "Cast":
        return f"CAST({_node(node.child())} AS {node.dataType().sql()})"
    if kind == "CaseWhenOtherwise":
        return _case(node)
    if kind == "LambdaFunction":
        names = [_node(each) for each in _parts(node.arguments())]
        # One argument in parentheses is not what the parser expects.
        before = names[0] if len(names) == 1 else f"({', '.join(names)})"
        return f"{before} -> {_node(node.function())}"
    if kind == "SqlExpression":
        return f"({node.expression()})"
    raise ValueError(f"no SQL for {kind}: {node.sql()}")


def _case(node: Any) -> str:
    branches = [f"WHEN {_node(branch._1())} THEN {_node(branch._2())}" for branch in _parts(node.branches())]
    otherwise = node.otherwise()
    end = f" ELSE {_node(otherwise.get())}" if otherwise.isDefined() else ""
    return f"CASE {' '.join(branches)}{end} END"


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return literal(value)
    if isinstance(value, float):
        return f"CAST('{value!r}' AS DOUBLE)" if value in (float("inf"), float("-inf")) else f"{value!r}D"
    if isinstance(value, int):
        return str(value)
    raise ValueError(f"no SQL for the literal {value!r}")


def _parts(seq: Any) -> Iterator[Any]:
    """The items of a Scala sequence."""
    for index in range(seq.size()):
        yield seq.apply(index)
