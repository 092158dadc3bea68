"""Texts to words and features."""

import marshal
import os
import subprocess
import sys

import jieba
import numpy as np
import pytest

from schemas.errors import SettingsError
from schemas.settings import Text
from schemas.workspace import CHECKOUT
from tasks.retrieval import features
from tasks.retrieval.features import Tokeniser, kind_weight

NOTHING = {"words": False, "bigrams": False, "char_ngrams_cjk": None, "char_ngrams_latin": None}


def only(**switches):
    """Return a tokeniser with every kind of feature off but those given."""
    return Tokeniser(Text(**(NOTHING | switches)))


def test_chinese_is_cut_by_jieba():
    """Words of its dictionary; punctuation is none."""
    assert Tokeniser(Text()).words("怎么提前还款，麻烦吗?") == ["怎么", "提前", "还款", "麻烦", "吗"]


def test_the_dictionary_is_read_as_jieba_reads_it():
    """Word for word, with every beginning of one."""
    words, total = features.read_dictionary(jieba.dt.get_dict_file())
    assert (words, total) == jieba.Tokenizer.gen_pfdict(jieba.dt.get_dict_file())


def test_a_cache_that_somebody_laid_in_the_temporary_folder_is_not_believed(tmp_path):
    """Nor is one written there: no home, no folder of one's own and no other user matters."""
    with (tmp_path / "jieba.cache").open("wb") as stream:
        marshal.dump(({"怎": 0, "怎么": 0, "怎么退票": 10**9}, 10**9), stream)
    planted = (tmp_path / "jieba.cache").read_bytes()
    code = (
        "from schemas.settings import Text; from tasks.retrieval.features import Tokeniser; "
        "print(Tokeniser(Text()).words('怎么退票'))"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT), "TMPDIR": str(tmp_path), "HOME": "/nowhere"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)

    assert done.stdout == "['怎么', '退票']\n"
    assert [file.name for file in tmp_path.iterdir()] == ["jieba.cache"]
    assert (tmp_path / "jieba.cache").read_bytes() == planted


def test_chinese_is_cut_as_jieba_does_word_for_word():
    """On strings of words, lone characters, rare ones, letters and digits in any order."""
    original = jieba.Tokenizer()
    original.initialize()
    random = np.random.default_rng(0)
    pieces = [*"的了在是我有人退票机改签龘㐀", *original.FREQ, "abc", "A4", "138-0013", " ", "，", "%", "c++"]
    for _ in range(2000):
        text = "".join(pieces[n] for n in random.integers(len(pieces), size=random.integers(1, 12)))
        assert list(features._jieba(None).cut(text, HMM=False)) == list(original.cut(text, HMM=False)), text


def test_other_text_is_cut_into_letters_and_digits():
    """White space and punctuation separate; accents, Cyrillic and digits are letters."""
    assert Tokeniser(Text()).words("can't pay 2nd café, привет") == ["can", "t", "pay", "2nd", "café", "привет"]


def test_mixed_text_keeps_its_latin_words():
    """Names and codes inside Chinese are words."""
    assert Tokeniser(Text()).words("iphone怎么退款") == ["iphone", "怎么", "退款"]


def test_words_are_marked_and_repeated_as_often_as_they_stand():
    """A repetition raises the term frequency."""
    assert only(words=True).features("no no way") == ["w:no", "w:no", "w:way"]


def test_pairs_are_of_neighbouring_words():
    """Three words, two pairs."""
    assert only(bigrams=True).features("pay by card") == ["p:pay_by", "p:by_card"]


def test_chinese_n_grams_run_over_the_whole_text_with_its_ends():
    """White space is left out; ^ and $ mark the ends."""
    assert only(char_ngrams_cjk=(1, 2)).features("退 票") == ["c:^", "c:退", "c:票", "c:$", "c:^退", "c:退票", "c:票$"]


def test_latin_n_grams_stay_inside_words():
    """# marks the ends of each word; a word shorter than the n-gram has none."""
    assert only(char_ngrams_latin=(4, 5)).features("pay a") == ["l:#pay", "l:pay#", "l:#pay#"]


def test_the_two_kinds_of_n_grams_are_set_apart():
    """A text with Chinese has no Latin n-grams, and the other way round."""
    assert only(char_ngrams_cjk=(1, 3)).features("refund") == []
    assert only(char_ngrams_latin=(3, 5)).features("退票refund") == []


@pytest.mark.parametrize(
    ("kind", "text", "off"),
    [
        ("w:", "退票 费用", {"words": False}),
        ("b:", "退票 费用", {"bigrams": False}),
        ("c:", "退票 费用", {"char_ngrams_cjk": None}),
        ("l:", "refund fee", {"char_ngrams_latin": None}),
    ],
)
def test_each_switch_removes_its_features_and_no_others(kind, text, off):
    """By default all are on."""
    by_default, without = Tokeniser(Text()).features(text), Tokeniser(Text(**off)).features(text)

    assert any(feature.startswith(kind) for feature in by_default)
    assert without == [feature for feature in by_default if not feature.startswith(kind)]


def test_word_pairs_and_the_longest_n_grams_have_a_weight_of_their_own():
    """They say again what words and shorter n-grams said; an n-gram of the only length is no longest one."""
    text = Text(pair_weight=0.25, longest_ngram_weight=0.5, char_ngrams_cjk=(1, 3), char_ngrams_latin=(4, 4))

    features = ["w:退票吗", "b:退_票", "c:退票", "c:退票吗", "l:refu", "w:refun"]
    assert [kind_weight(feature, text) for feature in features] == [1, 0.25, 1, 0.5, 1, 1]


def test_a_long_text_is_cut_before_features_are_taken():
    """Nine characters of which eight are read."""
    short = only(words=True, max_characters=8)

    assert short.features("pay cards") == ["w:pay", "w:card"]
    assert short.words("pay cards") == ["pay", "card"]


def test_a_text_of_nothing_has_no_features():
    """Empty, or punctuation only."""
    tokeniser = Tokeniser(Text())

    assert tokeniser.words("") == tokeniser.features("") == []
    assert tokeniser.words("?!") == tokeniser.features("?!") == []


def test_a_user_dictionary_keeps_its_words_whole(tmp_path):
    """Words that jieba does not know; written as people write them, found in the normalised text."""
    file = tmp_path / "words.txt"
    file.write_text("灵犀宝\nVIP通道 100 n\n", encoding="utf-8")
    text = "灵犀宝的vip通道"

    assert Tokeniser(Text(user_dictionary=str(file))).words(text) == ["灵犀宝", "的", "vip通道"]
    assert "灵犀宝" not in Tokeniser(Text()).words(text)


def test_a_missing_or_broken_user_dictionary_is_a_matter_of_settings(tmp_path):
    """The message names the setting and the file."""
    binary = tmp_path / "words.bin"
    binary.write_bytes(b"\xff\xfe\x00\xd8")

    with pytest.raises(SettingsError, match=r"text\.user_dictionary: no file .*nowhere\.txt"):
        Tokeniser(Text(user_dictionary=str(tmp_path / "nowhere.txt")))
    with pytest.raises(SettingsError, match=r"text\.user_dictionary: .*words\.bin is not a jieba dictionary"):
        Tokeniser(Text(user_dictionary=str(binary)))
    binary.write_text("退" * 100_000)  # every beginning of a word is kept: 20 GB
    with pytest.raises(SettingsError, match="line 1 has 100000 characters, a word with its count at most 200"):
        Tokeniser(Text(user_dictionary=str(binary)))
