"""What a loss can reach at best."""

import itertools
import math
import re

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from schemas.errors import SettingsError
from schemas.settings import LOSSES, Loss
from tasks.train.objectives import make_objective
from tasks.train.objectives.dssm import softmax
from tasks.train.objectives.softmax_all import SMOOTHING
from tasks.train.objectives.softmax_target import reachable_target, softmax_target
from tasks.train.reachability import assess, largest_gap
from tasks.train.training import train_candidate
from tests.tasks.prepare.toy import prepare_rows, toy_settings

ARTICLE = Loss(kind="dssm", gamma=1.0)


def reach_of(loss, negatives, classes, first_n=False):
    """Return what a loss can reach over so many classes of equally many rows, or over classes of the rows given."""
    rows = np.ones(classes, dtype=np.int64) if isinstance(classes, int) else classes
    return assess(make_objective(loss, negatives, rows), first_n)


def corrected(loss, negatives, classes):
    """Return the loss as its own correction changes it."""
    objective = make_objective(loss, negatives, np.ones(classes, dtype=np.int64))
    return loss.model_copy(update=objective.correction())


def target_of(loss, negatives):
    """Return the target that the article's loss aims at."""
    return make_objective(loss, negatives, np.ones(9, dtype=np.int64)).target


@pytest.mark.parametrize(("classes", "fall"), [(300, 0.439), (396, 0.439), (983, 0.438), (1035, 0.438)])
def test_the_articles_loss_can_fall_by_44_percent_at_most(classes, fall):
    """Gamma 1, four negatives, some hundred standard questions: 43.8 to 43.9 %, whatever the data."""
    reach = reach_of(ARTICLE, 4, classes)

    assert reach.first == pytest.approx(math.log(5))
    assert reach.floor == pytest.approx(math.log(1 + 4 * math.exp(-classes / (classes - 1))))
    assert reach.reachable_fall == pytest.approx(fall, abs=6e-4)
    assert 0.438 <= reach.reachable_fall < 0.4395
    assert reach.advice


def cost_of(loss, drawn, negatives):
    """Return the loss of cosines with the right class and the drawn ones."""
    if loss.kind == "dssm":
        return softmax(drawn, loss.gamma)
    return softmax_target(drawn, loss.gamma, target_of(loss, negatives))


def exact(cosines, labels, loss, adjustment=0.0):
    """Return the exact softmax of (rows, K) cosines, by torch's cross-entropy."""
    logits = loss.gamma * (cosines - loss.margin * F.one_hot(labels, cosines.shape[1])) + adjustment
    return F.cross_entropy(logits, labels, label_smoothing=SMOOTHING)


def best_on_the_sphere(loss, negatives, classes):
    """Return the lowest mean loss found by moving K queries and K standard questions freely on the sphere.

    The mean runs over all classes and every multiset of negatives, as uniform draws weight them.
    """
    generator = torch.Generator().manual_seed(3)
    vectors = torch.randn(2, classes, classes, generator=generator, dtype=torch.float64).requires_grad_()
    others = torch.tensor([[c for c in range(classes) if c != own] for own in range(classes)])
    draws = torch.tensor(list(itertools.product(range(classes - 1), repeat=negatives)))
    candidates = torch.cat(
        [torch.arange(classes)[:, None, None].expand(-1, len(draws), 1), others[:, draws]], dim=2
    )  # (K, draws, 1 + J)
    optimiser = torch.optim.LBFGS([vectors], max_iter=300, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def cost():
        queries, questions = F.normalize(vectors, dim=2)
        cosines = queries @ questions.T
        if loss.kind == "softmax_all":
            return exact(cosines, torch.arange(classes), loss)
        drawn = cosines[torch.arange(classes)[:, None, None], candidates]
        return cost_of(loss, drawn, negatives)

    def closure():
        optimiser.zero_grad()
        value = cost()
        value.backward()
        return value

    optimiser.step(closure)
    return cost().item()


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize(
    "loss",
    [
        Loss(kind="dssm", gamma=1.0),
        Loss(kind="dssm", gamma=5.0),
        Loss(kind="softmax_target", gamma=1.0, target=1.0),
        Loss(kind="softmax_target", gamma=2.0, target=0.95),
        Loss(kind="softmax_target", gamma=1.0),
        Loss(kind="softmax_all", gamma=1.0),
        Loss(kind="softmax_all", gamma=3.0, margin=0.0),
        Loss(kind="softmax_all", gamma=20.0, margin=0.5),
    ],
    ids=lambda loss: f"{loss.kind}-{loss.gamma:g}-{loss.target}-{loss.margin:g}",
)
def test_the_floor_is_what_free_vectors_on_the_sphere_reach(loss, classes):
    """An optimiser with every freedom that no tower has comes down to the floor and not below."""
    floor = reach_of(loss, 4, classes).floor

    assert best_on_the_sphere(loss, 4, classes) == pytest.approx(floor, abs=1e-5)


@pytest.mark.parametrize(
    "loss",
    [Loss(kind="dssm", gamma=2.0), Loss(kind="softmax_target", gamma=1.0, target=0.7)],
    ids=lambda o: o.kind,
)
def test_floor_and_first_value_move_with_the_number_of_negatives(loss):
    """More negatives start higher and end higher."""
    few, many = reach_of(loss, 2, 100), reach_of(loss, 20, 100)

    assert few.first < many.first
    assert few.floor < many.floor


def test_the_first_value_is_that_of_equal_cosines():
    """A fresh model knows nothing."""
    assert reach_of(Loss(kind="softmax_target", gamma=1.0, target=0.4), 4, 9).first == pytest.approx((0.4 - 0.2) ** 2)
    assert reach_of(Loss(kind="softmax_all", margin=0.0), 4, 9).first == pytest.approx(math.log(9))
    rows, loss = np.array([1, 2, 2, 8, 3]), Loss(kind="softmax_all", gamma=5.0, margin=0.3, prior_strength=0.7)
    prior = torch.from_numpy(0.7 * np.log(rows / rows.sum()))
    labels = torch.from_numpy(np.repeat(np.arange(5), rows))
    equal = exact(torch.zeros(16, 5, dtype=torch.float64), labels, loss, prior)
    assert reach_of(loss, 4, rows).first == pytest.approx(equal.item())


def test_smoothing_has_its_own_floor():
    """With enough gamma the floor is the entropy of the smoothed target, here (0.955, 9 times 0.005)."""
    floor = reach_of(Loss(kind="softmax_all", gamma=50.0), 4, 10).floor

    assert floor == pytest.approx(-0.955 * math.log(0.955) - 9 * 0.005 * math.log(0.005))


def test_the_target_moves_with_negatives_and_gamma_unless_given():
    """The article's 0.4 is only that of four negatives and gamma 1."""
    assert target_of(Loss(kind="softmax_target", gamma=1.0), 4) == pytest.approx(0.4046, abs=1e-4)
    assert target_of(Loss(kind="softmax_target", gamma=1.0), 9) == pytest.approx(0.232, abs=1e-3)
    assert target_of(Loss(kind="softmax_target", gamma=3.0), 4) == reachable_target(4, 3.0)
    assert target_of(Loss(kind="softmax_target", gamma=1.0, target=0.3), 9) == 0.3


SKEWED = np.array([40, 10, 10, 5, 5, 2, 2, 1, 1, 1])


def best_of_skewed(loss, negatives, first_n):
    """Return the lowest loss found for free vectors of the classes of SKEWED, each weighing by its rows."""
    classes = len(SKEWED)
    generator = torch.Generator().manual_seed(5)
    vectors = torch.randn(2, classes, 16, generator=generator).requires_grad_()
    weights = torch.tensor(SKEWED / SKEWED.sum(), dtype=torch.float32)
    adjustment = loss.prior_strength * weights.log()
    others = torch.tensor([[c for c in range(classes) if c != own] for own in range(classes)])
    draws = torch.randint(0, classes - 1, (classes, 200 * negatives), generator=generator)
    drawn = others[:, :negatives] if first_n else others.gather(1, draws)  # (K, draws * J)
    optimiser, lowest = torch.optim.Adam([vectors], lr=0.03), math.inf
    for _ in range(300):
        queries, questions = F.normalize(vectors, dim=2)
        cosines = queries @ questions.T
        wrong = cosines.gather(1, drawn).view(classes, -1, negatives)
        candidates = torch.cat([cosines.diag()[:, None, None].expand(-1, wrong.shape[1], 1), wrong], dim=2)
        if loss.kind == "softmax_all":
            value = sum(
                weight * exact(row[None], torch.tensor([own]), loss, adjustment)
                for own, (weight, row) in enumerate(zip(weights, cosines, strict=True))
            )
        else:
            value = sum(weight * cost_of(loss, row, negatives) for weight, row in zip(weights, candidates, strict=True))
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        lowest = min(lowest, value.item())
    return lowest


@pytest.mark.parametrize("first_n", [False, True])
@pytest.mark.parametrize(
    "loss",
    [
        Loss(kind="dssm", gamma=1.0),
        Loss(kind="softmax_target", gamma=1.0, target=1.0),
        Loss(kind="softmax_all", gamma=3.0, prior_strength=1.0),
        Loss(kind="softmax_all", gamma=20.0),
    ],
    ids=lambda loss: f"{loss.kind}-{loss.gamma:g}",
)
def test_of_unequal_classes_the_floor_is_never_undercut_and_nearly_reached(loss, first_n):
    """Few classes hold most rows: the rest stands opposite, and the loss falls beyond what equal classes allow."""
    reach = reach_of(loss, 4, SKEWED, first_n)

    lowest = best_of_skewed(loss, 4, first_n)

    assert reach.floor <= lowest + 1e-5
    assert (reach.first - lowest) / (reach.first - reach.floor) > 0.9
    if loss.kind == "dssm":
        assert lowest < reach_of(loss, 4, len(SKEWED)).floor - 0.04


def test_the_largest_gap_is_that_of_a_simplex_and_grows_with_the_rows_of_few():
    """1 + 1/(K-1) over equal classes; 2 where one class has all rows, opposite to all the rest."""
    assert largest_gap(np.full(11, 1 / 11)) == pytest.approx(1.1)
    assert largest_gap(np.array([1.0, 0.0, 0.0])) == pytest.approx(2.0, abs=1e-6)
    assert largest_gap(np.array([0.5, 0.25, 0.25])) > largest_gap(np.array([0.4, 0.3, 0.3])) > 1.5


def test_the_first_value_counts_the_adjustment():
    """Equal cosines of rows 3 : 1 under the prior 3 : 1: the entropy of 3 : 1, with smoothing on both sides."""
    reach = reach_of(Loss(kind="softmax_all", prior_strength=1.0, margin=0.0), 4, np.array([3, 1]))

    logs = np.log([0.75, 0.25])
    right = 0.975 * logs + 0.025 * logs[::-1]
    assert reach.first == pytest.approx(-(0.75 * right[0] + 0.25 * right[1]))


@pytest.mark.parametrize("gamma", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("classes", [2, 3, 50, 5000])
@pytest.mark.parametrize("margin", [0.0, 0.1, 0.5, 0.99])
@pytest.mark.parametrize("kind", LOSSES)
def test_what_auto_sets_is_reachable(kind, classes, gamma, margin):
    """Target where the loss has one; else gamma, and the margin where it is too large."""
    loss = Loss(kind=kind, gamma=gamma, margin=margin, target=1.0 if "target" in kind else None)

    assert reach_of(corrected(loss, 4, classes), 4, classes).advice == ""


@pytest.mark.parametrize("gamma", [9.0, 20.0, 100.0])
def test_a_margin_that_leaves_no_gap_is_what_is_corrected(gamma):
    """Of 0.99 over 300 standard questions the largest gap leaves 0.013: no gamma up to 100 makes up for that."""
    loss = Loss(kind="softmax_all", gamma=gamma, margin=0.99)

    advice = reach_of(loss, 4, 300).advice

    assert "with loss.margin = 0.99 over 300 standard questions" in advice
    assert advice.endswith("set loss.margin = 0.1" + (" and loss.gamma = 12" if gamma == 9 else ""))
    assert reach_of(corrected(loss, 4, 300), 4, 300).advice == ""


def test_guessing_does_not_count_as_a_long_way_to_go_because_of_the_margin():
    """At gamma 30 and margin 0.99, 20 classes: from equal cosines the loss falls by 91 %, most of it margin."""
    reach = reach_of(Loss(kind="softmax_all", gamma=30.0, margin=0.99), 4, 20)

    assert (reach.first - reach.floor) / reach.first > 0.85
    assert reach.reachable_fall < 0.6
    assert reach.advice


@pytest.mark.parametrize(
    ("loss", "changed"),
    [
        ({"kind": "softmax_target", "gamma": 1.0, "target": 1.0}, {"loss.target": 0.40461}),
        ({"kind": "dssm", "gamma": 1.0}, {"loss.gamma": 6.0}),
        ({"gamma": 1.0}, {"loss": "softmax_all", "loss.gamma": 8.0}),
        ({"margin": 0.99}, {"loss": "softmax_all", "loss.margin": 0.1}),
    ],
    ids=str,
)
def test_auto_corrects_the_setting_and_reports_it(tmp_path, loss, changed):
    """What was chosen stands in the report and is what was trained, to the last bit."""
    as_given = toy_settings(loss=loss | {"unreachable": "auto"}, training={"epochs": 2}, model={"ensemble": 1})
    given = {name.removeprefix("loss."): value for name, value in changed.items() if name != "loss"}
    right = as_given.model_copy(update={"loss": as_given.loss.model_copy(update=given)})
    prepared = prepare_rows(tmp_path, as_given)

    reports = []
    for name, settings in (("corrected", as_given), ("right", right)):
        (tmp_path / name / "partial").mkdir(parents=True)
        out = tmp_path / name
        reports.append(train_candidate(prepared, out, out / "partial", settings, lambda *_: None))

    of_the_loss = {name: value for name, value in reports[0].chosen.items() if name.startswith("loss")}
    assert of_the_loss == changed
    assert reports[0].reachability.advice == reports[1].reachability.corrected == ""
    told = f"{list(changed)[-1]} = {list(changed.values())[-1]:g}"
    assert reports[0].reachability.corrected.endswith(told)
    assert reports[0].epochs == reports[1].epochs


def test_an_estimate_of_the_exact_softmax_is_judged_as_that():
    """Neither floor nor first value depends on how many candidates there were."""
    exact, estimate = (Loss(kind=kind, gamma=3.0) for kind in ("softmax_all", "sampled_softmax"))

    assert reach_of(estimate, 4, 100) == reach_of(estimate, 64, 100) == reach_of(exact, 4, 100)


@pytest.mark.parametrize("kind", LOSSES)
def test_the_defaults_of_each_loss_can_be_reached(kind):
    """No advice for settings that are fine."""
    assert reach_of(Loss(kind=kind), 4, 1000).advice == ""


@pytest.mark.parametrize("negatives", [1, 4, 64, 1024])
@pytest.mark.parametrize("gamma", [0.1, 1.0, 1.5])
@pytest.mark.parametrize("target", [None, 1.0])
def test_what_is_advised_is_then_accepted(negatives, gamma, target):
    """Every value that the message names, set as it is written."""
    loss = Loss(kind="softmax_target", gamma=gamma, target=target) if target else Loss(kind="dssm", gamma=gamma)
    advice = reach_of(loss, negatives, 400).advice

    assert f"{negatives} negatives" in advice
    named = re.findall(r"set (loss\.\w+) = (\S+?),?(?= |$)", advice) + re.findall(r"or (loss\.\w+) = (\S+)", advice)
    assert named
    for setting, value in named:
        field = setting.removeprefix("loss.")
        changed = loss.model_copy(update={field: value.strip("'") if field == "kind" else float(value)})
        assert reach_of(changed, negatives, 400).advice == "", (setting, value)


def test_an_unreachable_target_is_refused_before_the_first_step(tmp_path):
    """The message names a value, and with it the same training runs."""
    refused = toy_settings(loss={"kind": "softmax_target", "gamma": 1.0, "target": 1.0}, training={"epochs": 1})
    prepared = prepare_rows(tmp_path, refused)
    (tmp_path / "out").mkdir()
    (tmp_path / "partial").mkdir()

    with pytest.raises(SettingsError, match=r"loss\.target = 1 at .* set loss\.target = 0\.4046") as error:
        train_candidate(prepared, tmp_path / "out", tmp_path / "partial", refused, lambda *_: None)
    assert "set loss.unreachable = 'auto' to have it corrected, 'warn' to train all the same" in str(error.value)
    assert not list((tmp_path / "out").iterdir())

    target = float(re.search(r"set loss\.target = ([\d.]+)", str(error.value))[1])
    accepted = refused.model_copy(update={"loss": refused.loss.model_copy(update={"target": target})})
    report = train_candidate(prepared, tmp_path / "out", tmp_path / "partial", accepted, lambda *_: None)
    assert report.reachability.advice == ""


def test_an_unreachable_target_is_trained_where_the_settings_say_so(tmp_path):
    """The article's experiment: it runs, and the verdict carries the advice."""
    settings = toy_settings(
        loss={"kind": "dssm", "gamma": 1.0, "unreachable": "warn"},
        training={"epochs": 1, "choose": False, "own_texts": False},
    )
    prepared = prepare_rows(tmp_path, settings)
    (tmp_path / "out").mkdir()

    report = train_candidate(prepared, tmp_path / "out", tmp_path, settings, lambda *_: None)

    fall = 1 - math.log1p(4 * math.exp(-12 / 11)) / math.log(5)  # of 12 classes with equally many rows, nearly
    assert report.reachability.reachable_fall == pytest.approx(fall, abs=2e-3)
    assert report.convergence.cause == "unreachable target"
    assert report.reachability.advice in report.convergence.sentence
