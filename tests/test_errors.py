from __future__ import annotations

import inspect
import re

from glossrank import errors


def test_the_message_says_where_what_and_what_to_do() -> None:
    error = errors.InputError(expected="a", found="b", fix="Do c.", file="x.csv", line=3)
    assert str(error) == "x.csv:3: expected a, found b. Do c."
    assert str(errors.InputError(expected="a", found="b", fix="Do c.", file="x.csv")).startswith(
        "x.csv: "
    )
    assert (
        str(errors.InputError(expected="a", found="b", fix="Do c.")) == "expected a, found b. Do c."
    )


def test_a_missing_extra_names_the_command() -> None:
    error = errors.MissingExtraError(feature="training", extra="train", missing="torch")
    assert "pip install 'glossrank[train]'" in str(error)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = dict.fromkeys(re.findall(r"\b\w+Error\b", str(errors.__doc__)))
    defined = [
        name
        for name, item in inspect.getmembers(errors, inspect.isclass)
        if issubclass(item, errors.GlossrankError)
    ]
    assert set(drawn) - {"ValueError", "TypeError"} == set(defined)
