"""Texts of others, shown."""

import json

import pytest
from markdown_it import MarkdownIt

from schemas.display import as_markdown, as_markdown_table, printable

HOSTILE = [
    "![x](http://127.0.0.1:9/beacon.png)",
    "[怎么退票](http://127.0.0.1:9)",
    "<img src=http://127.0.0.1:9/x>",
    "<script>alert(1)</script>",
    "![x][1]\n\n[1]: http://127.0.0.1:9",
    "<http://127.0.0.1:9>",
    "see http://127.0.0.1:9/x and https://a.b, www.example.org or WWW.EXAMPLE.ORG, a@example.org",
    "\\![x](http://127.0.0.1:9)",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "# 标题\n- a\n> b",
    "`code` **bold** __bold__ ~~gone~~ &lt; &#x3c;img&#62;",
    "```\n![x](http://127.0.0.1:9)\n```",
    "- [ ] a",
    "+ a",
    "=====",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_shows_a_text_as_it_is(text):
    """Rendered, there is one paragraph and no other element: nothing is loaded, and nothing can be clicked."""
    html = MarkdownIt("js-default", {"html": True}).render(f"- **rule**: {as_markdown(text)}")
    inside = html.removeprefix("<ul>\n<li><strong>rule</strong>: ").removesuffix("</li>\n</ul>\n")
    alone = MarkdownIt("js-default", {"html": True}).render(as_markdown(text))

    shown = inside.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&")
    assert shown == " ".join(text.split())
    assert alone == f"<p>{inside}</p>\n"


@pytest.mark.parametrize("text", HOSTILE)
def test_no_bare_address_is_left_to_be_made_a_link(text):
    """The UI turns what looks like an address into a link, in a cell, too."""
    cell = as_markdown_table([{"what": text, "offenders": 3, "none": None}])[0]
    assert "://" not in cell["what"].replace("\\://", "")
    assert "www." not in cell["what"].lower()
    assert (cell["offenders"], cell["none"]) == (3, None)


def test_ordinary_text_is_read_as_before():
    """The raw text stands in the database, and in `prefect artifact inspect`."""
    for text in ("recall@10 0.912 (-0.3 points)", "怎么退票？", "bank: 3 of 5 rows (60.0%)", "train.csv:7 “退票”"):
        assert as_markdown(text) == text


def test_characters_that_steer_a_terminal_are_escaped_and_json_stays_the_same_json():
    """Escape sequences, C1, bidirectional overrides, tags, halves of characters; tab and line feed stay."""
    text = "a\x1b[31m\x07\r\x7f\x9b1m\u202e\u2066\u200f\U000e0041\ud83d\tb\n怎么😀"
    shown = printable(text)

    assert shown == "a\\u001b[31m\\u0007\\r\\u007f\\u009b1m\\u202e\\u2066\\u200f\\udb40\\udc41\\ud83d\tb\n怎么😀"
    assert json.loads(printable(json.dumps({"q": text}, ensure_ascii=False))) == {"q": text}


@pytest.mark.parametrize("encoding", ["ascii", "gbk", "latin-1", "big5"])
def test_what_an_encoding_lacks_is_escaped_as_json_has_it(encoding):
    """A terminal's encoding loses nothing that another program reads."""
    text = json.dumps({"q": "怎么退票😀 é"}, ensure_ascii=False)
    assert json.loads(text.encode(encoding, errors="escape").decode(encoding)) == {"q": "怎么退票😀 é"}
