"""The plan: which cells there are, who they are, and which have to be run."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools

import pytest

from bench.api import ClipIndex, ClipRef, Geometry, Method, Preset
from bench.core.config import as_dict
from bench.core.errors import BenchError
from bench.profiles import PAPER
from bench.results.cells import Cell
from bench.results.records import to_run
from bench.running.cell.cell import run_cell
from bench.running.plan.planned_dataset import check_tested
from bench.running.plan.presets import borrowed, resolve_config

CELL = Cell(
    method="dm",
    config={"lr": 1.5, "steps": 300},
    version=1,
    dataset="d",
    fingerprint="f" * 64,
    geometry={"frames": 8, "gap": 8, "scale": 32, "size": 32, "views": 1},
    profile="quick",
    network="n",
    protocol="quick/1",
    ipc=1,
    setting="n8-r8-k1-nearest",
    seed=0,
)
CHANGES = {
    "method": "dc",
    "config": {"lr": 1.5, "steps": 301},
    "version": 2,
    "dataset": "d (stand-in)",
    "fingerprint": "e" * 64,
    "geometry": {**CELL.geometry, "views": 3},
    "profile": "paper",
    "network": "m",
    "protocol": "quick/2",
    "ipc": None,
    "setting": "n8-r8-k2-nearest",
    "seed": 1,
    "judged_on": "validation",
    "schema": 3,
    "plugins": {"method": "b" * 64},
    "budget": 1024,
    "storage": "uint8",
    "evaluation_network": "o",
    "precision": "bf16",
}

# ----------------------------------------------------------------------------------------------------------------------
# Identity


def test_the_id_of_a_cell_is_the_same_in_every_version_and_process():
    text = (
        '{"config":{"lr":1.5,"steps":300},"dataset":"d","fingerprint":"'
        + "f" * 64
        + '","geometry":{"frames":8,"gap":8,'
        '"scale":32,"size":32,"views":1},"ipc":1,"judged_on":"test","method":"dm","network":"n","profile":"quick",'
        '"protocol":"quick/1","schema":2,"seed":0,"setting":"n8-r8-k1-nearest","version":1}'
    )
    assert CELL.id() == hashlib.sha256(text.encode()).hexdigest()


def test_every_field_changes_the_id():
    assert set(CHANGES) == {field.name for field in dataclasses.fields(Cell)}
    ids = {CELL.id(), *(dataclasses.replace(CELL, **{name: value}).id() for name, value in CHANGES.items())}
    assert len(ids) == len(CHANGES) + 1


def test_the_order_of_a_config_does_not_change_the_id():
    assert dataclasses.replace(CELL, config={"steps": 300, "lr": 1.5}).id() == CELL.id()


def ids(cells):
    return [planned.cell.id() for planned in cells]


def test_the_same_request_gives_the_same_cells(plan):
    request = {"ipcs": (1, 2), "seeds": (0, 1)}
    assert ids(plan("random", "tiny-walk", **request)) == ids(plan("random", "tiny-walk", **request))


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": (1,)},
        {"ipcs": (2,)},
        {"settings": ("n2-r4-k1-linear",)},
        {"dataset": "tiny[train=5]"},
        {"dataset": "tiny[views=2]"},
        {"dataset": "tiny-declared"},
        {"profile": "quick"},
        {"judged_on": "validation"},
        {"protocol": "tinier"},
        {"overrides": {"tiny-walk": {"steps": "7"}}},
    ],
)
def test_whatever_is_asked_differently_is_another_cell(plan, change):
    assert ids(plan("tiny-walk")) != ids(plan("tiny-walk", **change))


def test_a_cell_holds_what_was_asked(plan, registries):
    (planned,) = plan("tiny-walk", ipcs=(3,), seeds=(5,), settings=("static",), overrides={"tiny-walk": {"steps": "9"}})
    assert planned.cell == Cell(
        method="tiny-walk",
        config={"steps": 9},
        version=1,
        dataset="tiny",
        fingerprint="tiny-4-2-0",
        geometry={"frames": 4, "gap": 1, "scale": 16, "size": 16, "views": 1},
        profile="tiny",
        network="convnet3d-small",
        protocol="tiny/1",
        ipc=3,
        setting="n1-r1-k1-nearest",
        seed=5,
        judged_on="test",
        plugins=dict.fromkeys(("method", "protocol"), registries.methods.origin("tiny-walk").meaning),
    )
    assert planned.stored_bytes == 4 * 3 * 3 * 3 * 4 * 16 * 16
    assert planned.declined is None


# ----------------------------------------------------------------------------------------------------------------------
# The grid


def test_the_cells_are_the_product_of_the_axes(plan):
    cells = plan("random", "tiny-walk", ipcs=(1, 2), seeds=(0, 1, 2), settings=("dense", "static"))
    found = [(c.cell.method, c.cell.ipc, c.cell.seed, c.cell.setting) for c in cells]
    settings = ("n4-r4-k1-nearest", "n1-r1-k1-nearest")
    assert sorted(found) == sorted(itertools.product(("random", "tiny-walk"), (1, 2), (0, 1, 2), settings))


def test_full_is_one_cell_for_all_budgets_seeds_and_settings(plan):
    (cell,) = plan("full", ipcs=(1, 5, 10), seeds=(0, 1, 2), settings=("dense", "static", "segments-2"))
    assert (cell.cell.ipc, cell.cell.seed, cell.cell.setting) == (None, None, "n4-r4-k1-nearest")
    assert cell.declined is None
    assert cell.stored_bytes == (4 + 5 + 6) * 3 * 4 * 16 * 16


@pytest.mark.parametrize("views", [1, 3])
def test_full_stores_every_window_it_trains_on(plan, views):
    (cell,) = plan("full", dataset=f"tiny[views={views}]")
    assert cell.stored_bytes == views * (4 + 5 + 6) * 3 * 4 * 16 * 16


def test_a_setting_that_a_method_declines_is_planned_with_its_reason(plan):
    dense, static = plan("tiny-noise", settings=("dense", "static"))
    assert dense.declined is None
    assert static.declined == "tiny-noise stores whole clips only"
    assert (static.stored_bytes, static.clip_passes, static.flops) == (0, 0.0, 0.0)
    assert dense.flops > 0


def test_segments_too_short_for_the_network_are_declined_with_its_reason(plan):
    (fits,) = plan("random", dataset="shapes-mixed[frames=16,size=64]", profile="paper", settings=("segments-2",))
    (short,) = plan("random", dataset="shapes-mixed[frames=16,size=64]", profile="paper", settings=("segments-4",))
    assert fits.declined is None
    assert "needs clips of at least 8 frames of 64x64, not 4 of 64x64" in short.declined


def test_stored_bytes_fall_with_the_frames_that_are_stored(plan):
    for method, each in (("random", 1), ("dm", 4)):
        cells = plan(method, settings=("dense", "keyframes-2", "static"))
        assert [cell.stored_bytes for cell in cells] == [each * 3 * 3 * n * 16 * 16 for n in (4, 2, 1)]


def test_flops_grow_with_the_work(plan):
    small, large = plan("tiny-noise", ipcs=(1, 4))
    assert small.clip_passes < large.clip_passes
    # 2 networks: 6 updates of 3 clips forward and backward (= 3 passes), then 6 test and 3 training clips.
    # Two networks, each trained twice and tested seven times: as it is and under four probes, then, trained on still
    # clips, as they are and frozen.
    assert small.clip_passes == 2 * (2 * (3 * 6 * 3 + 3) + 7 * 6)
    assert large.clip_passes == 2 * (2 * (3 * 6 * 4 + 12) + 7 * 6)
    assert large.flops / small.flops == pytest.approx(large.clip_passes / small.clip_passes)


def test_each_dataset_has_its_default_profile_unless_one_is_named(plan):
    assert plan("random", dataset="shapes-mixed")[0].cell.profile == "quick"
    (paper,) = plan("random", dataset="shapes-mixed", profile="paper")
    assert (paper.cell.profile, paper.cell.network, paper.cell.protocol) == ("paper", "convnet3d", "standard/1")
    assert paper.cell.geometry == dataclasses.asdict(PAPER.geometry)
    assert paper.geometry == Geometry(16, 4, 120, 112, 3)


def test_overrides_of_a_method_that_is_not_run_are_an_error(plan):
    with pytest.raises(BenchError, match=r"--set: dm is not among the methods to run \(random, full\)"):
        plan("random", "full", overrides={"dm": {"lr": "1"}})


def test_overrides_that_do_not_exist_are_an_error(plan):
    with pytest.raises(BenchError, match="--set tiny-walk: no field 'lr'; fields: steps"):
        plan("tiny-walk", overrides={"tiny-walk": {"lr": "1"}})


def test_unknown_methods_and_settings_are_errors(plan):
    with pytest.raises(BenchError, match="unknown method 'randm'; did you mean random"):
        plan("randm")
    with pytest.raises(BenchError, match="'keyframes-4' is no temporal setting"):
        plan("random", settings=("keyframes-4",))


def test_a_grid_that_cannot_be_planned_in_time_is_refused_at_once(plan):
    with pytest.raises(
        BenchError, match=r"^the grid has up to 1,200,002 cells \(at most 100,000 in one run\); ask for fewer"
    ):
        plan("random", "full", seeds=range(600_000), settings=("dense", "static"), ipcs=(1,))


# ----------------------------------------------------------------------------------------------------------------------
# Presets


@dataclasses.dataclass(frozen=True)
class Hyper:
    """Four values."""

    a: int = 0
    b: int = 0
    c: int = 0
    d: int = 0


class Published(Method):
    """A method with presets, the most specific first."""

    name = "published"
    Config = Hyper
    presets = (
        Preset({"a": 3, "b": 3, "c": 3}, "script", profile="paper", dataset="miniucf", ipc=1),
        Preset({"a": 2, "b": 2}, "paper", profile="paper", dataset="miniucf"),
        Preset({"a": 1, "b": 1, "c": 1, "d": 1}, "paper", profile="paper"),
        Preset({"d": 9}, "paper", profile="paper", setting="static"),
        Preset({"a": 7}, "trial", profile="quick"),
    )


@pytest.mark.parametrize(
    ("where", "values"),
    [
        (("paper", "miniucf", 1, "dense"), (3, 3, 3, 1)),
        (("paper", "miniucf", 5, "dense"), (2, 2, 1, 1)),
        (("paper", "hmdb51", 1, "dense"), (1, 1, 1, 1)),
        (("paper", "hmdb51", 1, "static"), (1, 1, 1, 9)),
        (("quick", "miniucf", 1, "dense"), (7, 0, 0, 0)),
        (("other", "miniucf", 1, "static"), (0, 0, 0, 0)),
    ],
)
def test_the_most_specific_preset_wins_value_by_value(where, values):
    assert tuple(as_dict(resolve_config(Published, *where, {})).values()) == values


def test_the_user_wins_over_every_preset():
    assert resolve_config(Published, "paper", "miniucf", 1, "dense", {"b": "8"}) == Hyper(3, 8, 3, 1)


class Lending(Method):
    """A method with step sizes that were published for some datasets and IPCs."""

    name = "lending"
    Config = Hyper
    presets = (
        Preset({"a": 1}, "script", profile="paper"),
        Preset({"b": 15, "c": 15, "a": 9}, "example", profile="paper", dataset="miniucf", ipc=1, lends=True),
        Preset({"b": 55, "c": 55}, "example", profile="paper", dataset="miniucf", ipc=5, lends=True),
        Preset({"b": 20}, "script", profile="paper", ipc=20, lends=True),
        Preset({"c": 7}, "script", profile="paper", dataset="kinetics400", ipc=1),
        Preset({"d": 4}, "trial", profile="quick", dataset="folder", lends=True),
    )


@pytest.mark.parametrize(
    ("where", "values", "told"),
    [
        (("paper", "miniucf", 1), (9, 15, 15, 0), ""),
        (("paper", "miniucf", 5), (1, 55, 55, 0), ""),
        (
            ("paper", "hmdb51", 1),
            (1, 15, 15, 0),
            "b=15, c=15 were published for miniucf at IPC 1; for hmdb51 at IPC 1 nothing was",
        ),
        (
            ("paper", "hmdb51", 5),
            (1, 55, 55, 0),
            "b=55, c=55 were published for miniucf at IPC 5; for hmdb51 at IPC 5 nothing was",
        ),
        (
            ("paper", "hmdb51", 2),
            (1, 15, 15, 0),
            "b=15, c=15 were published for miniucf at IPC 1; for hmdb51 at IPC 2 nothing was",
        ),
        (
            ("paper", "miniucf", 3),
            (1, 55, 55, 0),
            "b=55, c=55 were published for miniucf at IPC 5; for miniucf at IPC 3 nothing was",
        ),
        (("paper", "hmdb51", 20), (1, 20, 0, 0), ""),
        (
            ("paper", "hmdb51", 50),
            (1, 20, 0, 0),
            "b=20 was published for hmdb51 at IPC 20; for hmdb51 at IPC 50 nothing was",
        ),
        (
            ("paper", "kinetics400", 1),
            (1, 15, 7, 0),
            "b=15 was published for miniucf at IPC 1; for kinetics400 at IPC 1 nothing was",
        ),
        (("quick", "miniucf", 1), (0, 0, 0, 4), "d=4 was published for folder; for miniucf at IPC 1 nothing was"),
        (("other", "miniucf", 1), (0, 0, 0, 0), ""),
    ],
)
def test_values_of_the_nearest_ipc_are_lent_where_nothing_was_published(where, values, told):
    found = as_dict(resolve_config(Lending, *where, "dense", {}))
    assert tuple(found.values()) == values
    assert borrowed(Lending, *where, "dense", found) == told


def test_what_the_user_or_a_search_chose_is_not_borrowed():
    where = ("paper", "hmdb51", 1, "dense")
    found = as_dict(resolve_config(Lending, *where, {"b": "3"}))
    assert tuple(found.values()) == (1, 3, 15, 0)
    assert borrowed(Lending, *where, found, ("b",)).startswith("c=15 was")
    assert borrowed(Lending, *where, {**found, "b": 15, "c": 16}, ("b",)) == ""


PUBLISHED = [
    ("dm", "miniucf", 1, {"lr": 30.0, "batch_real": 64, "steps": 5000}, False),
    ("dm", "hmdb51", 5, {"lr": 30.0, "batch_real": 64, "steps": 5000}, True),
    ("mtt", "miniucf", 1, {"lr": 1e5, "steps": 8000, "learn_rate": True, "batch_syn": 0}, False),
    ("mtt", "ssv2", 1, {"lr": 1e5, "steps": 8000}, True),
    ("dm+sd", "miniucf", 1, {"lr_dynamic": 1e-4, "lr_hallucinator": 1e-5}, False),
    ("dm+sd", "miniucf", 5, {"lr_dynamic": 1e3, "lr_hallucinator": 1e-6}, False),
    ("dm+sd", "hmdb51-all-train", 1, {"lr_dynamic": 1e-4, "lr_hallucinator": 1e-5}, True),
    ("dm+sd", "hmdb51-all-train", 5, {"lr_dynamic": 1e3, "lr_hallucinator": 1e-6}, True),
    ("mtt+sd", "miniucf", 1, {"lr_dynamic": 1e4, "lr_hallucinator": 1e-3, "syn_steps": 10, "learn_rate": True}, False),
    ("mtt+sd", "miniucf", 5, {"lr_dynamic": 1e4, "syn_steps": 5, "batch_syn": 128, "learn_rate": False}, False),
    ("mtt+sd", "hmdb51", 5, {"lr_dynamic": 1e4, "syn_steps": 5, "batch_syn": 128, "learn_rate": False}, False),
    ("mtt+sd", "kinetics400", 1, {"lr_dynamic": 1e4, "syn_steps": 10, "batch_syn": 256, "learn_rate": False}, True),
    ("mtt+sd", "ssv2", 10, {"lr_dynamic": 1e4, "syn_steps": 5, "batch_syn": 128, "learn_rate": False}, True),
]  # fmt: skip


@pytest.mark.parametrize(("name", "dataset", "ipc", "published", "lent"), PUBLISHED)
def test_the_values_of_the_released_scripts(registries, name, dataset, ipc, published, lent):
    kind = registries.methods.get(name)
    found = as_dict(resolve_config(kind, "paper", dataset, ipc, "dense", {}))
    assert {key: found[key] for key in published} == published
    assert bool(borrowed(kind, "paper", dataset, ipc, "dense", found)) == lent


def test_a_plan_says_which_values_are_borrowed(plan):
    (cell,) = plan("dm", profile="paper")
    assert cell.borrowed == "lr=30 was published for miniucf at IPC 1; for tiny at IPC 1 nothing was"
    (given,) = plan("dm", profile="paper", overrides={"dm": {"lr": "30"}})
    (quick,) = plan("dm", profile="quick")
    assert (given.borrowed, quick.borrowed) == ("", "")


# ----------------------------------------------------------------------------------------------------------------------
# What to run


@pytest.mark.parametrize(
    ("resume", "runs"),
    [
        ("missing", {None, "interrupted", "timeout"}),
        ("failed", {None, "interrupted", "timeout", "failed", "oom"}),
        ("always", {None, "interrupted", "timeout", "failed", "oom", "ok", "skipped"}),
        ("never", set()),
    ],
)
def test_which_cells_are_run(resume, runs):
    statuses = (None, "ok", "failed", "oom", "timeout", "skipped", "interrupted")
    assert {status for status in statuses if to_run(status, resume)} == runs


def known(planned):
    """What is known of a planned cell, by its id, without the dataset (an object of its own in each plan)."""
    return planned.cell.id(), (planned.cell, planned.setting, planned.stored_bytes, planned.flops, planned.declined)


def test_cells_of_many_seeds_are_those_planned_one_by_one(plan):
    """They are planned once and copied: only the seed may differ, and a method without randomness has one cell."""
    names = ("random", "herding", "full", "dm")
    settings = ("dense", "static")
    together = plan(*names, ipcs=(1, 2), seeds=(3, 0, 7), settings=settings)
    alone = [cell for seed in (3, 0, 7) for cell in plan(*names, ipcs=(1, 2), seeds=(seed,), settings=settings)]
    assert dict(map(known, together)) == dict(map(known, alone))
    assert {cell.cell.seed for cell in together if cell.cell.method == "dm"} == {0, 3, 7}
    assert {cell.cell.seed for cell in together if cell.cell.method == "full"} == {None}


# ----------------------------------------------------------------------------------------------------------------------
# What could only fail


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("tiny[frames=1]", "network 'convnet3d-small' needs clips of at least 2 frames of 16x16, not 1 of 16x16"),
        ("tiny[size=12]", "network 'convnet3d-small' needs clips of at least 2 frames of 16x16, not 4 of 12x12"),
    ],
)
def test_clips_that_the_network_cannot_take_are_declined_in_the_plan(plan, registries, context, reporter, data, words):
    cells = plan("random", "full", "herding", "tiny-walk", dataset=data)
    assert [planned.declined for planned in cells] == [words] * 4
    # Another network can judge them; what learns with the first one still cannot.
    for planned in plan("random", "full", "herding", dataset=data, nets=("cnn-mean-small",)):
        assert planned.declined == (words if planned.cell.method == "herding" else None)
        if planned.cell.method == "random":
            assert run_cell(planned, registries, context, reporter).status == "ok"


def test_more_clips_than_a_class_has_are_no_fault(plan, registries, context, reporter):
    (planned,) = plan("random", ipcs=(9,))
    record = run_cell(planned, registries, context, reporter)
    assert (record.status, planned.declined) == ("ok", None)


def test_data_without_a_clip_to_judge_on_are_refused_before_anything_runs():
    def index(groups):
        clips = [
            ClipRef(f"{label}/{k}", label, "train", group)
            for label, names in enumerate(groups)
            for k, group in enumerate(names)
        ]
        return ClipIndex("few", ("a", "b"), tuple(clips), "f")

    check_tested(index(["xy", "z"]), "validation")
    for alone in (["x", "z"], ["xx", "zz"], ["x", "x"]):
        with pytest.raises(BenchError, match="few: no training clip can be held out to judge on"):
            check_tested(index(alone), "validation")
    with pytest.raises(BenchError, match="few: no test clip"):
        check_tested(index(["xy", "z"]), "test")


# ----------------------------------------------------------------------------------------------------------------------
# What a person reads


def test_titles_hold_the_options_of_the_data_and_ids_do_not_change(plan):
    (plain,), (few,) = plan("tiny-noise"), plan("tiny-noise", dataset="tiny[train=2]")
    assert (plain.title(), few.title()) == (
        "tiny-noise · tiny · ipc 1 · seed 0",
        "tiny-noise · tiny[train=2] · ipc 1 · seed 0",
    )
    assert few.cell.dataset == "tiny"
    assert few.cell.id() == dataclasses.replace(plain.cell, fingerprint=few.cell.fingerprint).id() != plain.cell.id()


def test_a_class_may_have_at_most_as_many_clips_as_all_have_to_learn_from(plan):
    assert plan("tiny-noise", ipcs=(15,))
    with pytest.raises(
        BenchError, match="--ipc: 16 clips of each class; tiny has 15 training clips of all classes together"
    ):
        plan("tiny-noise", ipcs=(1, 16))
