"""Text read in the wrong codepage is found and undone; good text is left alone."""

import pyarrow as pa
import pytest

from tasks.validate.damage import repair, suspects

WESTERN = ["latin-1", "cp1252", "cp1250", "cp437", "cp850", "mac_roman", "cp1254", "cp1257", "iso8859_15"]
GOOD = [
    "怎么提前还款", "我的航班取消了怎么退票？", "联通", "“你好”，谢谢…", "氪金玩家嘚瑟", "鄱阳湖旅游", "犇猋骉蟲",
    "请问CA1234次航班几点起飞", "①②③ ★★★", "繁體中文測試", "日本語の文章です。", "東京タワー", "한국어 텍스트",
    "Größe der Straße", "„Spaß“", "KLÄ…", "ÄÖÜß äöüß", "Ünïcödé", "déjà vu", "jusqu’à\u00a0» ", "créée par l’été",
    "Ça coûte 5°", "çà et là", "São Paulo, ação", "Łódź żółć", "MALMÖ–KØBENHAVN", "É™", "Tiếng Việt rất đẹp",
    "Привет, как дела?", "Пётр Сёмин", "Рёбра", "Її хата № 5", "Ελληνικά κείμενο", "10€ – 20€", "à 100 °C",
    "NÃO É POSSÍVEL", "ÉTÉ À L’ÎLE", "ŁÓDŹ", "İSTANBUL", "Þetta er", "日本・東京", "╔══╗ │ a │", "😀👍🏽 спасибо",
    "👨‍👩‍👧 familie", "?", "what???", "plain ASCII",
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_good_text_is_not_damaged(text):
    """Chinese, German, French, Slavic, Greek, Vietnamese, emoji, punctuation."""
    assert repair(text) is None


@pytest.mark.parametrize("text", ["怎么提前还款", "我想退订酒店吗", "déjà vu", "Größe der Straße", "Привет, как дела"])
@pytest.mark.parametrize("codepage", [*WESTERN, "cp1251", "cp1253", "koi8_r"])
def test_utf8_read_in_a_codepage_is_repaired(text, codepage):
    """Bytes that a codepage leaves undefined become control characters, as on Windows."""
    table = [bytes([i]).decode(codepage, "replace").replace("\ufffd", chr(i)) for i in range(256)]
    damaged = "".join(table[byte] for byte in text.encode())

    assert repair(damaged) == text
    assert suspects(pa.array([damaged])).to_pylist() == [True]


@pytest.mark.parametrize("text", ["怎么提前还款", "你好", "如何修改密码", "航班改签要收费吗"])
def test_utf8_read_as_gbk_is_found(text):
    """A text of an odd number of bytes has lost its end: what is left is suggested."""
    damaged = text.encode().decode("gbk", "replace")
    repaired = repair(damaged)

    assert repaired is not None
    assert "\ufffd" in damaged[:-1] or text.startswith(repaired[:2])


def test_gbk_read_as_latin_1_is_repaired():
    """The classic of old exports."""
    assert repair("怎么提前还款".encode("gbk").decode("latin-1")) == "怎么提前还款"


def test_a_codepage_that_is_like_another_is_known_by_its_chinese():
    """Of shorter texts, latin-2 and cp1250 cannot be distinguished."""
    assert repair("怎么提前还款".encode().decode("iso8859_2")) == "怎么提前还款"


@pytest.mark.parametrize("text", ["你好", "怎么提前还款", "我的航班取消了怎么退票？", "déjà vu", "Größe der Straße"])
def test_damage_done_twice_is_undone_twice(text):
    """UTF-8 read as latin-1, saved as UTF-8, and read as latin-1 again."""
    assert repair(text.encode().decode("latin-1").encode().decode("latin-1")) == text


@pytest.mark.parametrize("text", ["怎样满足审批条件", "审核时间", "电话是几点"])
def test_what_trimming_or_cleaning_has_broken_is_still_found(text):
    """A space that was U+00A0 breaks a character; the rest is repaired."""
    damaged = text.encode().decode("latin-1")

    assert "\xa0" in damaged
    assert repair(damaged.replace("\xa0", " ")) is not None


def test_a_damaged_word_in_a_good_text_is_repaired():
    """The good part cannot be written in the codepage, the bad part alone can."""
    assert repair("价格 dÃ©jÃ¢ 多少") == "价格 déjâ 多少"


@pytest.mark.parametrize("text", ["怎么\ufffd\ufffd还款", "锟斤拷锟斤拷", "?????"])
def test_text_that_is_lost_for_good_is_damaged_without_a_repair(text):
    """Nothing can be suggested, but it must be seen."""
    assert repair(text) == text
    assert suspects(pa.array([text])).to_pylist() == [True]
