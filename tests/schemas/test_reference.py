"""The page of all settings."""

from schemas.reference import section_names, settings_page
from schemas.workspace import CHECKOUT


def test_the_page_is_that_of_the_schema():
    """Whoever changes a setting runs `dssm settings > docs/settings.md`."""
    assert (CHECKOUT / "docs" / "settings.md").read_text("utf-8").rstrip() == settings_page().rstrip()


def test_every_section_and_bound_is_on_it():
    """Nested sections have tables of their own; a bound is one row with both levels."""
    assert {"model", "validate", "validate.drift", "publish"} <= set(section_names())
    assert "| `min_rows` | warn 200, stop 2 |" in settings_page("validate")
    assert "| `ensemble` | `8` |" in settings_page("model")
