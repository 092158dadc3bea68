"""What the pages print: commands with their options, links, targets of make, modules, settings, versions."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from flows.cli import cli
from schemas.settings import CorpusSettings
from tests.conftest import CHECKOUT

PAGES = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
READMES = [CHECKOUT / "README.md", CHECKOUT / "docs" / "README.zh-CN.md"]
of_every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def printed(text: str) -> Iterator[str]:
    """Yield every line of a block and every span of code, without comments."""
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S):
        yield from (line.split("  #")[0] for line in block.replace("\\\n", " ").splitlines())
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))


def settings(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the name of every setting and section."""
    for name, field in model.model_fields.items():
        yield prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings(field.annotation, f"{prefix}{name}.")


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@of_every_page
def test_every_command_exists_with_its_options(page):
    """Words behind a comment sign or an ellipsis are no part of a command."""
    for line in printed(page.read_text("utf-8")):
        for call in re.findall(r"(?:^|[ /])dssm ((?:[a-z]+)(?: [^|;&()]*)?)", line):
            name, _, rest = call.partition(" ")
            assert name in cli.commands, f"dssm {call}"
            known = {option for parameter in cli.commands[name].params for option in parameter.opts} | {"--help"}
            try:
                words = shlex.split(rest)
            except ValueError:  # a quotation that goes on in the next line
                words = rest.split()
            unknown = [word for word in words if re.match(r"--?[a-z]", word) and word.split("=")[0] not in known]
            assert not unknown, f"dssm {call}: {unknown}"


@of_every_page
def test_every_link_leads_somewhere(page):
    """Addresses of the world are not asked; blocks hold exports that only look like links."""
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S)):
        if not link.startswith("http"):
            file, _, anchor = link.partition("#")
            target = page.parent / file if file else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


@of_every_page
def test_every_target_module_and_file_is_there(page):
    """`make TARGET`, `python -m MODULE`, and paths of the checkout."""
    targets = set(re.findall(r"^([\w./-]+):", (CHECKOUT / "Makefile").read_text("utf-8"), re.M))
    for line in printed(page.read_text("utf-8")):
        assert set(re.findall(r"^make ([\w./-]+)", line)) <= targets, line
        for module in re.findall(r"python -m (tests[\w.]+)", line):
            path = CHECKOUT / module.replace(".", "/")
            assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), line
        for path in re.findall(r"(?:^|\s)((?:tests|tasks|flows|schemas|docs)/[\w./-]+\.(?:py|md|toml|yaml))\b", line):
            assert (CHECKOUT / path).exists() or "<" in line, line


@of_every_page
def test_every_setting_exists(page):
    """Written `section.name` or `--set section.name=…`."""
    known = set(settings(CorpusSettings))
    sections = "|".join(sorted({name.split(".")[0] for name in known if "." in name}))
    for line in printed(page.read_text("utf-8")):
        for name in re.findall(rf"(?:^|--set '?)((?:{sections})(?:\.\w+)+)(?=$|[ =])", line):
            ends = (
                ".warn",
                ".stop",
                ".json",
                ".toml",
                ".csv",
                ".html",
                ".txt",
                ".parquet",
                ".safetensors",
                ".published",
            )
            assert name in known or name.endswith(ends), name


@pytest.mark.parametrize("source", [*PAGES, *cli.commands], ids=lambda source: getattr(source, "name", source))
def test_a_value_with_brackets_is_quoted(source):
    """zsh, the shell of a Mac, looks for files that match it, and starts nothing."""
    text = source.read_text("utf-8") if isinstance(source, Path) else cli.commands[source].help or ""
    assert not re.findall(r"--set [\w.]+=[\[{*?]\S*", text)


def test_no_page_names_a_folder_beside_the_checkout():
    """A reader has none."""
    assert not [page.name for page in PAGES if "../shared" in page.read_text("utf-8")]


@pytest.mark.parametrize("page", READMES, ids=lambda page: page.name)
def test_the_readme_names_every_page_and_the_tested_torch(page):
    """A page that no list names is read by nobody."""
    text = page.read_text("utf-8")
    torch = re.search(r"^torch==(\S+)", (CHECKOUT / "constraints.txt").read_text("utf-8"), re.M)
    assert set(re.findall(r"torch==(\S+)", text)) == {torch[1]}
    for other in {*(CHECKOUT / "docs").glob("*.md")} - {*READMES}:
        assert f"({other.name})" in text or f"(docs/{other.name})" in text, other.name
