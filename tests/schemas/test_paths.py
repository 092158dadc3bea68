"""Names and paths that come from elsewhere."""

import pytest

from schemas.errors import StaleFile
from schemas.paths import check_name, check_path, join_inside


@pytest.mark.parametrize("path", ["a", "a/b.txt", "20260101-000000-abcdef/model.json", "词表.txt", "..a/b.."])
def test_a_path_inside_is_joined(path, tmp_path):
    """As it is."""
    assert join_inside(tmp_path, path) == tmp_path / path


@pytest.mark.parametrize(
    "path",
    ["", ".", "..", "/etc/passwd", "../a", "a/../b", "a/..", "a//b", "a/", "./a", "a\\b", "a\0b", "\x1b[2J"],
)
def test_a_path_that_could_lead_out_is_refused(path, tmp_path):
    """Or that would write on a terminal."""
    with pytest.raises(StaleFile, match="neither read nor written"):
        join_inside(tmp_path, path)
    with pytest.raises(ValueError, match="no relative path"):
        check_path(path)


@pytest.mark.parametrize("name", ["a/b", ".hidden", "..", ""])
def test_a_name_is_one_visible_folder(name):
    """A version that is called like a path is none."""
    with pytest.raises(ValueError, match="is no "):
        check_name(name)
    assert check_name("20260101-000000-abcdef-2") == "20260101-000000-abcdef-2"


def test_a_link_that_leads_out_is_refused_and_one_that_stays_is_not(tmp_path):
    """Wherever in the path it stands; a circle, too."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret").write_text("x")
    (folder / "out").symlink_to(tmp_path)
    (folder / "circle").symlink_to(folder / "circle")
    (folder / "in").symlink_to("file")

    assert join_inside(folder, "in") == folder / "in"
    for path in ("out", "out/secret", "circle"):
        with pytest.raises(StaleFile, match="leads out of"):
            join_inside(folder, path)
