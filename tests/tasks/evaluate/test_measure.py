"""Measuring, with scorers whose answers are known."""

from dataclasses import replace

import numpy as np
import pytest

from tasks.evaluate.measure import Classes, TestRows, TrainRows, evaluate_candidate, find_suspects, rank_rows


class Table:
    """A scorer that looks its scores up, and remembers how many queries came at a time."""

    def __init__(self, scores):
        self.table = scores
        self.blocks = []

    def scores(self, queries):
        """Return the remembered scores."""
        self.blocks.append(len(queries))
        return np.array([self.table[query] for query in queries], dtype=np.float32).reshape(len(queries), -1)


CLASSES = Classes(
    texts=["取消订单", "修改订单", "开具发票"], train_rows=np.array([2, 5, 60]), near_duplicates=[[1], [0], []]
)
MODEL = Table(
    {
        "取消": [0.9, 0.5, 0.1],
        "改一下": [0.8, 0.7, 0.1],
        "改签": [0.7, 0.6, 0.2],
        "要发票": [0.2, 0.3, 0.9],
        "你好": [0.3, 0.2, 0.1],
    }
)
TEST = TestRows(
    queries=["取消", "改一下", "改签", "要发票", "你好"],
    truth=np.array([0, 1, 1, 2, -1]),
    in_train=np.array([True, False, False, False, False]),
)
TRAIN = TrainRows(
    row_ids=np.array([10, 11, 12, 13, 14, 15]),
    queries=["取消", "改一下", "要发票", "要发票", "要发票", "取消"],
    class_ids=np.array([0, 1, 0, 0, 1, 2]),
)


def test_a_candidate_is_measured_with_its_baselines():
    """Everything an operator asks for stands in one object, counted by hand."""
    evaluation, ranked, _ = evaluate_candidate("toy", MODEL, {"bm25": MODEL}, TEST, TRAIN, CLASSES, seed=13)

    assert evaluation.model.recall_at_1.value == pytest.approx(2 / 5)
    assert evaluation.model.recall_at_10.value == pytest.approx(4 / 5)
    assert evaluation.baselines == {"bm25": evaluation.model}
    assert (evaluation.test_rows, evaluation.classes, evaluation.unknown_test_rows) == (5, 3, 1)
    assert (evaluation.overlap_rows, evaluation.untested_classes) == (1, 0)
    assert evaluation.without_overlap.rows == 4
    assert list(evaluation.by_class_size) == ["1-3", "4-10", ">50"]
    assert evaluation.baselines_by_class_size["bm25"] == evaluation.by_class_size
    assert ranked["model"].ranks.tolist() == [0, 1, 1, 0, -1]
    assert ranked["model"].top[:, 0].tolist() == [0, 0, 0, 2, 0]
    assert evaluation.grouped is None


def test_any_of_the_same_answer_is_told_beside_the_recall_and_never_instead_of_it():
    """Two of three are one group: the two rows that found the one for the other count there, a foreign row nowhere."""
    grouped, *_ = evaluate_candidate("toy", MODEL, {}, TEST, TRAIN, replace(CLASSES, groups=[[0, 1]]), seed=13)
    plain, *_ = evaluate_candidate("toy", MODEL, {}, TEST, TRAIN, CLASSES, seed=13)

    assert grouped.grouped.recall_at_1.value == pytest.approx(4 / 5)
    assert grouped.grouped.mrr.value == pytest.approx(4 / 5)
    assert grouped.model == plain.model


def test_without_overlap_there_is_nothing_to_set_apart():
    """The second measurement is left empty rather than repeated."""
    clean = TestRows(TEST.queries, TEST.truth, np.zeros(5, bool))

    evaluation, *_ = evaluate_candidate("toy", MODEL, {}, clean, TRAIN, CLASSES, seed=13)

    assert evaluation.without_overlap is None


def test_a_split_without_test_rows_is_measured_as_nothing():
    """A corpus of one-row classes has no test rows; that is said, and nothing breaks."""
    nothing = TestRows([], np.zeros(0, int), np.zeros(0, bool))

    evaluation, ranked, _ = evaluate_candidate("toy", MODEL, {}, nothing, TRAIN, CLASSES, seed=13)

    assert (evaluation.model.rows, evaluation.untested_classes, evaluation.classes_worst) == (0, 3, [])
    assert ranked["model"].top.shape == (0, 3)


def test_the_worst_question_is_the_one_with_most_misses():
    """Questions that always stand first are not listed, and what came first instead is named."""
    evaluation, *_ = evaluate_candidate("toy", MODEL, {}, TEST, TRAIN, CLASSES, seed=13)

    (worst,) = evaluation.classes_worst
    (pair,) = evaluation.confused
    assert (worst.standard_question, worst.test_rows, worst.train_rows) == ("修改订单", 2, 5)
    assert (worst.recall_at_1, worst.recall_at_10, worst.confused_with) == (0.0, 1.0, ["取消订单"])
    assert (pair.standard_question, pair.ranked_first, pair.rows, pair.near_duplicate) == (
        "修改订单",
        "取消订单",
        2,
        True,
    )


def test_baselines_rank_one_of_every_few_rows():
    """The candidate all of them: figures of fewer rows say so."""
    evaluation, ranked, _ = evaluate_candidate("toy", MODEL, {"bm25": MODEL}, TEST, TRAIN, CLASSES, seed=13, every=2)

    assert evaluation.model.rows == 5
    assert evaluation.baselines["bm25"].rows == 3
    assert ranked["bm25"].ranks.tolist() == ranked["model"].ranks[::2].tolist()
    assert sum(bucket.rows for bucket in evaluation.baselines_by_class_size["bm25"].values()) == 2


def test_planted_labels_are_suspected_widest_margin_first():
    """A repeat is listed once, and a row drawn to a near-duplicate of its question is no suspect."""
    suspects = find_suspects(MODEL, TRAIN, CLASSES)

    assert [(s.row_id, s.standard_question, s.suggested) for s in suspects] == [
        (15, "开具发票", "取消订单"),
        (12, "取消订单", "开具发票"),
        (14, "修改订单", "开具发票"),
    ]
    assert [s.margin for s in suspects] == pytest.approx([0.8, 0.7, 0.6])


@pytest.mark.parametrize(("wrong", "least"), [(0, 0), (200, 150)])
def test_as_many_labels_are_doubted_as_held_out_rows_say_are_wrong(wrong, least):
    """A tenth of 2,000 rows stand under another standard question; what the model misreads of the others is unclear."""
    random = np.random.default_rng(1)
    right = random.integers(0, 20, 2000)
    scores = random.normal(0, 0.1, (2000, 20)) + 0.3 * np.eye(20)[right]
    labels = np.where(np.arange(2000) < wrong, (right + 7) % 20, right)
    queries = [f"query {n}" for n in range(2000)]
    model = Table(dict(zip(queries, scores.tolist(), strict=True)))
    test, train = TestRows(queries, labels, np.zeros(2000, bool)), TrainRows(np.arange(2000), queries, labels)
    classes = Classes([f"question {n}" for n in range(20)], np.full(20, 100))

    *_, suspects = evaluate_candidate("toy", model, {}, test, train, classes, 1)

    planted = sum(one.row_id < wrong for one in suspects)
    assert least <= len(suspects) <= 1.1 * wrong
    assert planted >= 0.75 * len(suspects)


def test_at_most_twenty_rows_are_suspected():
    """A person reads twenty rows; the widest margins are kept."""
    scores = {f"q{i}": [i / 100, 0.0] for i in range(1, 60)}
    train = TrainRows(np.arange(59), list(scores), np.ones(59, int))

    suspects = find_suspects(Table(scores), train, Classes(["a", "b"], np.array([0, 59])))

    assert [s.row_id for s in suspects] == list(range(58, 38, -1))


def test_queries_are_scored_in_blocks(monkeypatch):
    """Memory stays bounded, and the result is that of one block."""
    monkeypatch.setattr("tasks.evaluate.measure.BLOCK_CELLS", 2 * 3)
    scorer = Table(MODEL.table)

    ranked = rank_rows(scorer, TEST, 3)

    assert scorer.blocks == [2, 2, 1]
    assert ranked.ranks.tolist() == [0, 1, 1, 0, -1]


def test_a_scorer_of_other_classes_is_refused():
    """A live version of another list of questions must be mapped first."""
    with pytest.raises(ValueError, match=r"scores must be \(5, 4\)"):
        rank_rows(MODEL, TEST, 4)
