"""The search for learning rates: which trial is next, what is chosen, what it cost, and that records alone carry it."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest

from bench.api import Evaluation
from bench.core.errors import BenchError
from bench.results.records import PhaseCost, Record
from bench.running.plan import tuning
from bench.running.plan.tuning import best_factor, charged, next_factor

# ----------------------------------------------------------------------------------------------------------------------
# The decision


def search(score, budget):
    """The history of a search in which a factor has a given score."""
    history = []
    while (factor := next_factor(history, budget)) is not None:
        history.append((factor, score(factor)))
    return history


def factors(score, budget):
    return [factor for factor, _ in search(score, budget)]


def hill(peak):
    """Scores that fall with the logarithmic distance to a peak."""
    return lambda factor: -abs(math.log10(factor / peak))


@pytest.mark.parametrize(
    ("peak", "budget", "expected"),
    [
        (1, 5, [1, 10, 0.1, 0.316, 3.16]),
        (100, 5, [1, 10, 0.1, 100, 1000]),
        (30, 5, [1, 10, 0.1, 100, 31.6]),
        (3, 5, [1, 10, 0.1, 3.16, 1.78]),
        (0.33, 5, [1, 10, 0.1, 0.316, 0.562]),
        (1e-3, 6, [1, 10, 0.1, 0.01, 0.001, 0.0001]),
        (1, 3, [1, 10, 0.1]),
        (1, 1, [1]),
    ],
)
def test_it_goes_where_the_scores_point(peak, budget, expected):
    assert factors(hill(peak), budget) == expected


@pytest.mark.parametrize("eighths", range(-24, 25))
def test_on_one_hill_it_chooses_the_best_of_what_it_may_reach(eighths):
    peak = 10 ** (eighths / 8)
    history = search(hill(peak), 5)
    chosen = best_factor(history)
    # Five trials reach three decades each way; where they only walk outwards, half a decade may be left.
    assert abs(math.log10(chosen / peak)) <= 0.51
    long = best_factor(search(hill(peak), 12))
    assert abs(math.log10(long / peak)) <= 0.13


def test_it_is_never_further_off_than_the_best_of_its_own_trials():
    for scores in itertools.product((None, 0.2, 0.5), repeat=6):
        left = iter(scores)
        history = search(lambda factor, left=left: next(left), 6)
        tried = [factor for factor, _ in history]
        assert len(set(tried)) == len(tried) <= 6
        best = max((score for _, score in history if score is not None), default=None)
        assert dict(history)[best_factor(history)] == best


def test_it_stops_when_the_best_is_enclosed_to_a_third():
    tried = factors(hill(1), 100)
    assert len(tried) == len(set(tried)) < 20
    assert {0.75, 1.0, 1.33} <= set(tried)
    assert next_factor([(factor, hill(1)(factor)) for factor in tried], 100) is None


def test_it_does_not_leave_six_decades():
    assert (max(factors(lambda factor: factor, 30)), min(factors(lambda factor: -factor, 30))) == (1e6, 1e-6)


def test_the_opening_does_not_wait_for_scores():
    assert next_factor([(10.0, None)], 5) == 1
    assert next_factor([(10.0, 0.9), (1.0, 0.1)], 5) == 0.1


def test_of_two_equal_gaps_the_side_of_the_better_neighbour_is_tried():
    assert next_factor([(1, 0.5), (10, 0.4), (0.1, 0.3)], 5) == 3.16
    assert next_factor([(1, 0.5), (10, 0.3), (0.1, 0.4)], 5) == 0.316
    assert next_factor([(1, 0.5), (10, 0.4), (0.1, 0.4)], 5) == 0.316
    assert next_factor([(1, 0.5), (10, None), (0.1, 0.0)], 5) == 0.316


def test_the_wider_gap_comes_first():
    assert next_factor([(1, 0.5), (10, 0.4), (0.1, 0.3), (3.16, 0.45)], 5) == 0.316


def test_a_trial_without_a_score_is_the_worst():
    assert best_factor([(1, None), (10, None), (0.1, 0.0)]) == 0.1
    assert best_factor([(1, None), (10, math.nan), (0.1, -5.0)]) == 0.1
    assert best_factor([(1, None), (10, None), (0.1, None)]) == 1


def test_where_everything_diverged_it_goes_down():
    assert factors(lambda factor: None if factor > 2e-3 else 0.5, 6) == [1, 10, 0.1, 0.01, 0.001, 0.0001]
    assert min(factors(lambda factor: None, 50)) == 1e-6


def test_equal_scores_go_to_the_factor_nearest_1_then_to_the_smaller():
    assert best_factor([(0.1, 0.5), (10, 0.5), (1, 0.5)]) == 1
    assert best_factor([(1, 0.4), (100, 0.5), (10, 0.5), (0.01, 0.5)]) == 10
    assert best_factor([(1, 0.4), (10, 0.5), (0.1, 0.5)]) == 0.1


# ----------------------------------------------------------------------------------------------------------------------
# Searches of a plan, and how far they are


@pytest.fixture
def searches(plan, registries):
    """The searches of a plan of tiny-step."""

    def found(*methods, seed=0, **request):
        cells = plan(*(methods or ("tiny-step",)), dataset="tiny-nearest", **request)
        return tuning.searches(cells, registries, seed)

    return found


def finished(planned, *correct, status="ok", reason="", **costs):
    """A record whose network k classifies ``correct[k]`` of 10 clips correctly."""
    evaluations = [
        Evaluation(k, ((right, 0), (10 - right, 0)), None, 1.0, True, 0.1, 9) for k, right in enumerate(correct)
    ]
    return Record(planned.cell, status, reason, evaluations=tuple(evaluations), costs=costs)


def test_there_is_a_search_for_each_budget_and_one_for_all_seeds(searches):
    found = searches("random", "tiny-step", ipcs=(1, 2), seeds=(3, 4, 5), seed=3)
    assert [(s.cells[0].cell.method, s.cells[0].cell.ipc) for s in found] == [("tiny-step", 1), ("tiny-step", 2)]
    assert [[planned.cell.seed for planned in s.cells] for s in found] == [[3, 4, 5]] * 2
    assert found[0].title() == "tiny-step · tiny-nearest · ipc 1"


def without_dataset(planned):
    """A planned cell for comparison; two datasets are never equal."""
    return dataclasses.replace(planned, dataset=None)


def test_a_trial_is_the_cell_that_judging_on_validation_would_run(searches, plan, registries):
    (found,) = searches(seeds=(4, 7), seed=4, overrides={"tiny-step": {"lr": "0.3"}})
    for factor, value in ((1.0, "0.3"), (10.0, "3"), (0.1, "0.03"), (3.16, "0.948")):
        overrides = {"tiny-step": {"lr": value}}
        (asked,) = plan("tiny-step", dataset="tiny-nearest", seeds=(4,), overrides=overrides, judged_on="validation")
        trial = found.trial(factor, registries)
        assert trial.cell == asked.cell
        assert trial.title() == f"{asked.title()} · trial of lr={value}"
        assert not trial.probes  # the one thing that is left out, and only of judging
        assert (trial.work.real, trial.work.learned) == (asked.work.real, asked.work.learned)
        assert 0 < trial.work.judging < 0.8 * asked.work.judging


def test_tuned_cells_are_those_that_setting_the_value_would_run(searches, plan, registries):
    (found,) = searches(seeds=(4, 7), seed=4)
    state = played(found, registries, {1.0: 3, 10.0: 9, 0.1: 1}, budget=3)
    asked = plan("tiny-step", dataset="tiny-nearest", seeds=(4, 7), overrides={"tiny-step": {"lr": "1"}})
    assert [*map(without_dataset, state.tuned_cells(registries).values())] == [*map(without_dataset, asked)]
    assert list(state.tuned_cells(registries)) == [planned.cell.id() for planned in found.cells]


def test_every_method_that_learns_is_tuned_in_the_step_size_of_what_it_learns(registries):
    found = {name: method.tuned for name, method in registries.methods if method.tuned and not name.startswith("tiny")}
    memories = ("dm+sd", "dc+sd", "mtt+sd", "frepo+sd", "dm+dynamic-only", "dm+no-hallucinator")
    clips = ("dc", "dm", "dsa", "frepo", "mtt")
    codecs = dict.fromkeys(("codec-av1", "codec-h264"), ("crf",))
    assert found == dict.fromkeys(clips, ("lr",)) | dict.fromkeys(memories, ("lr_dynamic",)) | codecs


def test_a_codecs_quality_moves_in_decibels_and_what_the_encoder_does_not_know_is_refused(searches, registries):
    (found,) = searches("codec-h264", overrides={"codec-h264": {"crf": "30"}})
    assert [found.values(factor) for factor in (1, 10, 0.1, 3.16, 0.562)] == [
        {"crf": 30}, {"crf": 50}, {"crf": 10}, {"crf": 40}, {"crf": 25},
    ]  # fmt: skip
    state = played(found, registries, {1.0: 3, 10.0: 9, 0.1: 1}, budget=5)
    assert [trial.factor for trial in state.trials] == [1, 10, 0.1, 100]
    assert state.trials[3].reason.startswith("codec-h264: crf=70 is not at least 0 and at most 51; fields: crf (int, ")
    assert state.report()["chosen"] == {"factor": 10.0, "values": {"crf": 50}}


def test_a_cell_that_its_method_declines_is_not_tuned(searches):
    assert [s.cells[0].cell.setting for s in searches(settings=("static", "dense"))] == ["n4-r4-k1-nearest"]


@pytest.mark.parametrize(
    ("methods", "overrides", "words"),
    [
        (
            ("random", "full"),
            {},
            r"--tune: nothing to tune in random, full \(valid: codec-h264, codec-av1, dc, dm, dsa, .*, tiny-step\)",
        ),
        (("tiny-step",), {"tiny-step": {"lr": "0"}}, r"--tune: tiny-step.lr=0.0 is not a positive number"),
        (("tiny-step",), {"tiny-step": {"lr": "-1"}}, r"--tune: tiny-step.lr=-1.0 is not a positive number"),
    ],
)
def test_what_cannot_be_tuned_is_an_error(searches, methods, overrides, words):
    with pytest.raises(BenchError, match=words):
        searches(*methods, overrides=overrides)


def played(search, registries, right, budget=5, **costs):
    """The state once the trials of some factors have their records; ``right`` maps a factor to its correct clips."""
    cells = {search.trial(factor, registries).cell.id(): (factor, search.trial(factor, registries)) for factor in right}

    def read(cell_id):
        if cell_id not in cells:
            return None
        factor, planned = cells[cell_id]
        correct = right[factor]
        return finished(planned, status="failed", **costs) if correct is None else finished(planned, correct, **costs)

    return tuning.replay(search, budget, registries, read)


@pytest.mark.parametrize(
    ("right", "coming", "further"),
    [
        ({}, [1.0, 10.0, 0.1], 2),
        ({10.0: 5}, [1.0, 0.1], 2),
        ({1.0: 5, 10.0: 6, 0.1: 4}, [100.0], 1),
        ({1.0: 5, 10.0: 6, 0.1: 4, 100.0: 7}, [1000.0], 0),
        ({1.0: 5, 10.0: None, 0.1: 4}, [0.316], 1),
        ({1.0: 5, 10.0: 6, 0.1: 4, 100.0: 7, 1000.0: 2}, [], 0),
    ],
)
def test_a_search_goes_on_from_its_records(searches, registries, right, coming, further):
    state = played(searches()[0], registries, right)
    assert [factor for factor, _ in state.coming] == coming
    assert state.further == further
    assert {trial.factor for trial in state.trials} == set(right)


@pytest.mark.parametrize(
    ("right", "edge"),
    [
        ({}, None),
        ({10.0: 5}, "smallest"),  # one trial has nothing on either side of it
        ({1.0: 5, 10.0: 6, 0.1: 4}, "largest"),
        ({1.0: 5, 10.0: None, 0.1: 6}, "smallest"),
        ({1.0: 5, 10.0: 6, 0.1: 4, 100.0: 3}, None),
    ],
)
def test_a_choice_at_the_edge_of_what_was_tried_is_known_as_one(searches, registries, right, edge):
    assert played(searches()[0], registries, right).edge() == edge


def test_a_record_of_another_factor_has_no_part_in_it(searches, registries):
    state = played(searches()[0], registries, {1.0: 5, 10.0: 6, 0.1: 4, 5.62: 9})
    assert {trial.factor for trial in state.trials} == {1.0, 10.0, 0.1}


def test_the_score_is_the_mean_over_all_networks(searches, registries):
    (found,) = searches()
    planned = found.trial(1.0, registries)
    trial = tuning.Trial(1.0, {}, planned, finished(planned, 4, 7, 10), "")
    assert trial.score() == pytest.approx(0.7)
    assert tuning.Trial(1.0, {}, planned, finished(planned), "").score() is None
    assert tuning.Trial(1.0, {}, planned, finished(planned, 4, status="failed"), "").score() is None


def test_a_value_that_the_config_refuses_is_a_failed_trial(searches, registries):
    (found,) = searches(overrides={"tiny-step": {"lr": "2", "most": "15"}})
    state = played(found, registries, {1.0: 5, 0.1: 4, 0.316: 3, 3.16: 6})
    assert [(trial.factor, trial.score()) for trial in state.trials] == [
        (1.0, 0.5), (10.0, None), (0.1, 0.4), (0.316, 0.3), (3.16, 0.6),
    ]  # fmt: skip
    refused = state.report()["trials"][1]
    assert (refused["status"], refused["cell"], refused["values"]) == ("refused", None, {"lr": 20.0})
    assert "lr must be at most 15" in refused["reason"]
    assert state.factor() == 3.16


def test_the_report_holds_every_trial_and_the_choice(searches, registries):
    (found,) = searches(seeds=(2, 5), seed=2)
    cost = {"distil": PhaseCost(3.0, 0, 0, 0), "upstream": PhaseCost(50.0, 0, 0, 0, shared=True)}
    state = played(found, registries, {1.0: 5, 10.0: 6, 0.1: None}, budget=3, **cost)
    report = state.report()
    assert (report["fields"], report["seed"], report["judged_on"], report["budget"]) == (["lr"], 2, "validation", 3)
    assert report["chosen"] == {"factor": 10.0, "values": {"lr": 1.0}}
    assert [(t["factor"], t["values"], t["accuracy"], t["status"]) for t in report["trials"]] == [
        (1.0, {"lr": 0.1}, 0.5, "ok"), (10.0, {"lr": 1.0}, 0.6, "ok"), (0.1, {"lr": 0.01}, None, "failed"),
    ]  # fmt: skip
    assert [t["cell"] for t in report["trials"]] == [
        found.trial(t["factor"], registries).cell.id() for t in report["trials"]
    ]
    assert {t["seconds"] for t in report["trials"]} == {3.0}


def test_the_cost_is_shared_exactly_where_several_seeds_use_the_choice(searches, registries):
    cost = {"distil": PhaseCost(3.0, 2.0, 7, 0)}
    for seeds, shared in (((0,), False), ((0, 1), True)):
        state = played(searches(seeds=seeds)[0], registries, {1.0: 5, 10.0: 6, 0.1: None}, budget=3, **cost)
        assert state.cost() == PhaseCost(9.0, 6.0, 7, 0, shared)


def test_attaching_keeps_everything_else(searches, registries):
    (found,) = searches()
    state = played(found, registries, {1.0: 5, 10.0: 6, 0.1: 4}, budget=3, distil=PhaseCost(3.0, 2.0, 7, 0))
    record = finished(found.cells[0], 8, distil=PhaseCost(1.0, 1.0, 1, 1))
    told = tuning.attached(record, state)
    assert told.costs == {"distil": PhaseCost(1.0, 1.0, 1, 1), "tune": PhaseCost(9.0, 6.0, 7, 0)}
    assert dataclasses.replace(told, costs=record.costs, tuning=None) == record
    assert told.id == record.id
    assert tuning.attached(told, state) == told


# ----------------------------------------------------------------------------------------------------------------------
# Charging


def test_phases_are_summed_and_peaks_are_the_highest():
    trials = [
        {"distil": PhaseCost(10.0, 8.0, 100, 5), "evaluate": PhaseCost(1.0, 0.5, 300, 6)},
        {"distil": PhaseCost(20.0, 16.0, 200, 9), "upstream": PhaseCost(2.0, 1.0, 0, 0, stored_bytes=40)},
    ]
    assert charged(trials) == PhaseCost(33.0, 25.5, 300, 9, stored_bytes=40)
    assert charged([]) == PhaseCost(0, 0, 0, 0)


def test_what_came_from_the_cache_is_charged_once():
    made = PhaseCost(50.0, 40.0, 7, 8, stored_bytes=60)
    found = dataclasses.replace(made, shared=True)
    distil = PhaseCost(1.0, 1.0, 0, 0)
    first_made_it = [{"upstream": made, "distil": distil}, *[{"upstream": found, "distil": distil}] * 2]
    nobody_made_it = [{"upstream": found, "distil": distil}] * 3
    assert charged(first_made_it) == charged(nobody_made_it) == PhaseCost(53.0, 43.0, 7, 8, stored_bytes=60)
