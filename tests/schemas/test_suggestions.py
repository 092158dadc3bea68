"""What somebody may have meant."""

import pytest

from schemas.suggestions import did_you_mean, nearest


def test_the_nearest_names_are_offered_never_the_given_one():
    """It is known, and something else is wrong with it."""
    assert nearest("bnak", ["bank", "shop"]) == ["bank"]
    assert nearest("bank", ["bank", "bank2"]) == ["bank2"]
    assert did_you_mean("bank", ["bank"]) == ""
    assert did_you_mean("bnak", ["bank", "bunk"]) == "; did you mean bank or bunk?"
    assert did_you_mean("A dog", ["A dog?"]) == "; did you mean “A dog?”"
    assert did_you_mean("x", []) == ""


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("退票", "退票\u200b"),
        ("退票", "退票 "),
        ("VIP.csv", "ＶＩＰ.csv"),
        ("r\xe9sum\xe9.csv", "re\u0301sume\u0301.csv"),
    ],
)
def test_a_name_that_looks_like_the_given_one_is_told_by_its_characters(given, name):
    """A bare "did you mean 退票?" helps nobody who wrote 退票."""
    assert f"(as code points {name!a}, not {given!a})" in did_you_mean(given, [name])
    assert "code points" not in did_you_mean("退飘", ["退票"])
