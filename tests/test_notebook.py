"""From Python: run, table, load_results and load_set, as a notebook uses them."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest
import torch

import bench
from bench.core.errors import BenchError
from bench.core.rng import generator
from bench.results.artefacts import load_set as load_artefact
from bench.results.records import RecordStore

pandas = pytest.importorskip("pandas")


@pytest.fixture
def run(tiny_plugin, tmp_path):
    """``bench.run`` on the tiny clips, into a folder of the test's own."""

    def run(**options):
        given = {"plugin": tiny_plugin, "datasets": "tiny", "methods": "tiny-noise", "out": tmp_path / "out"}
        return bench.run(**{**given, **options})

    return run


def test_importing_bench_loads_nothing_heavy_and_says_what_there_is():
    code = "import bench, sys; print(sorted(bench.__all__)); print([m for m in ('torch', 'numpy', 'pandas', 'rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names, heavy = done.stdout.splitlines()
    assert names == str(sorted(["BenchError", "__version__", "load_results", "load_set", "run", "table"]))
    assert heavy == "[]"
    assert {"run", "table", "load_results", "load_set"} <= set(dir(bench))
    with pytest.raises(AttributeError, match="module 'bench' has no attribute 'runs'"):
        bench.runs  # noqa: B018


def test_a_run_gives_the_records_of_its_grid_and_only_these(run, capsys, tmp_path):
    run(methods="tiny-noise", seeds=7)
    records = run(methods=["tiny-walk"], ipc=[1, 2], seeds=range(2), set={"tiny-walk.steps": 2})
    assert {(r.cell.method, r.cell.ipc, r.cell.seed) for r in records} == {
        ("tiny-walk", ipc, seed) for ipc in (1, 2) for seed in (0, 1)
    }
    assert {r.cell.config["steps"] for r in records} == {2}
    assert all(record.status == "ok" for record in records)
    assert len(list(RecordStore(tmp_path / "out").all())) == 5
    assert capsys.readouterr().out == ""


def test_failed_cells_come_back_with_their_status(run):
    (record,) = run(methods="tiny-broken", set={"tiny-broken.how": "empty"})
    assert (record.status, record.reason) == ("failed", "the method returned an empty set")


def test_an_experiment_file_is_run_and_keyword_arguments_win(tiny_plugin, tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text(f'methods = "tiny-noise"\ndatasets = "tiny"\nseeds = [3, 4]\nplugin = "{tiny_plugin}"\n')
    out = tmp_path / "out"
    assert {(r.cell.method, r.cell.seed) for r in bench.run(experiment=path, out=out)} == {
        ("tiny-noise", 3), ("tiny-noise", 4),
    }  # fmt: skip
    assert [record.cell.seed for record in bench.run(experiment=str(path), out=out, seeds=4)] == [4]
    path.write_text('seed = 3\nmethods = "nothing"\n')
    with pytest.raises(BenchError, match=r"(?s)2 mistakes:.*unknown key 'seed'.*unknown method 'nothing'"):
        bench.run(experiment=path)


def test_a_dry_run_prints_the_plan_and_runs_nothing(run, capsys, tmp_path):
    assert run(dry_run=True, stand_in=False, budget=None) == []
    assert "tiny-noise" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "dm"}, r"run\(\): no option 'method'; did you mean methods\? \(valid: .*methods, datasets, ipc,"),
        ({"methods": "randm"}, "unknown method 'randm'; did you mean random"),
        ({"methods": []}, "--methods: none given"),
        ({"profile": "slow"}, r"unknown profile 'slow' \(valid: paper, quick"),
        ({"jobs": 0}, r"run\(\): argument --jobs: '0' is not a whole number of at least 1"),
        ({"tune": "yes"}, r"run\(\): tune='yes' is not True or False"),
        ({"ipc": 1, "budget": "1MiB"}, "--budget: --ipc is given too"),
        ({"set": {"tiny-noise.lr": 1}}, "--set tiny-noise: no field 'lr'; fields: none"),
        ({"methods": 3}, r"run\(\): methods=3 is not text$"),
        ({"nets": ["cnn-gru", 3]}, r"run\(\): nets=3 is not text$"),
        ({"profile": 3}, r"run\(\): profile=3 is not text$"),
        ({"methods": b"dm"}, r"run\(\): methods=b'dm' is not text$"),
        ({"seeds": 1.5}, r"run\(\): seeds=1.5 is not text or a whole number"),
        ({"seeds": True}, r"run\(\): seeds=True is not text or a whole number"),
        ({"seeds": 10**5000}, r"run\(\): seeds=<int> is not text"),
        ({"seeds": itertools.count()}, r"run\(\): seeds holds more than 10,000 parts"),
        ({"seeds": range(10**12)}, r"run\(\): seeds holds more than 10,000 parts"),
        ({"timeout": 10**5000}, r"run\(\): argument --timeout: '<int>' is not a number of minutes"),
        ({"timeout": float("nan")}, r"run\(\): argument --timeout: 'nan' is not a number of minutes"),
        ({"set": 3}, r"run\(\): set=3 is not text$"),
        ({"set": {3: {"lr": 1}}}, r"run\(\): set has keys that are not text"),
        ({"set": {"tiny-walk": {"steps": 10**5000}}, "methods": "tiny-walk"}, "--set tiny-walk: steps='<int>' is not int"),
        ({"experiment": 3}, r"run\(\): experiment=3 is not a path"),
        ({"out": 3.5}, r"run\(\): out=3.5 is not text"),
        ({"root": "\ud800"}, "is no path: it has characters that no file name can have"),
        ({"profile": ["quick"]}, r"run\(\): profile=\['quick'\] is not text"),
        ({"engine": ["local"]}, r"run\(\): argument --engine: invalid choice: \['local'\]"),
    ],
)  # fmt: skip
def test_mistakes_are_errors_in_the_command_lines_words(run, options, words):
    with pytest.raises(BenchError, match=words):
        run(**options)


# ----------------------------------------------------------------------------------------------------------------------
# Results


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"records": None}, r"table\(\): records=None is neither a folder nor a list of records"),
        ({"records": 3}, r"table\(\): records=3 is neither"),
        ({"records": [3]}, r"table\(\): records=\[3\] is neither"),
        ({"records": "a" * 300}, "is no path: a name in it has 300 bytes"),
        ({"by": None}, r"table\(\): by=None is not valid \(valid: ipc, "),
        ({"by": ["ipc"]}, r"table\(\): by=\['ipc'\] is not valid"),
        ({"columns": 3}, r"table\(\): columns=3 is not a list \(of: ddranking, objective\)"),
        ({"columns": "ddranking"}, r"table\(\): columns='ddranking' is not a list"),
        ({"interval": 0.95}, r"table\(\): interval=0.95 is not valid"),
    ],
)
def test_a_table_of_what_is_none_is_refused_in_a_sentence(finished, arguments, words):
    with pytest.raises(BenchError, match=words):
        bench.table(**{"records": finished[0], **arguments})
    with pytest.raises(BenchError, match=r"load_results\(\): records=None is neither"):
        bench.load_results(None)


def test_the_table_is_the_one_that_the_command_prints(finished, bench_main):
    out, _, outcome = finished
    shown = bench.table(out)
    assert shown == outcome.out
    assert shown == bench.table(list(RecordStore(out).all(history=False)))
    for fmt in ("md", "latex", "csv"):
        assert shown.to(fmt) == bench_main("table", "--out", out, "--format", fmt).out
    assert shown._repr_markdown_() == shown.to("md")
    assert bench.table(out, by="bytes") == bench_main("table", "--out", out, "--by", "bytes").out
    with pytest.raises(BenchError, match=r"table\(\): by='size' is not valid \(valid: ipc, "):
        bench.table(out, by="size")
    with pytest.raises(BenchError, match=r"table\(\): format='word' is not valid"):
        shown.to("word")


def test_a_frame_has_a_row_for_each_evaluation(finished):
    out, _, _ = finished
    frame = bench.load_results(out)
    records = {record.id: record for record in RecordStore(out).all()}
    assert len(frame) == sum(len(record.evaluations) for record in records.values()) == 8
    for row in frame.itertuples():
        record = records[row.cell]
        evaluation = record.evaluations[row.network]
        assert (row.method, row.dataset, row.setting, row.status) == (record.cell.method, "tiny", "dense", "ok")
        assert row.accuracy == evaluation.correct() / 6
        assert row.accuracy_shuffled == evaluation.probes["shuffled"] / 6
        assert row.storage_bytes == record.set.storage_bytes
        assert row.distil_seconds == record.costs["distil"].wall_seconds
        if evaluation.frozen_both is not None:
            assert row.temporal_gain == pytest.approx((evaluation.correct() - evaluation.frozen_both) / 6)
    assert frame.groupby("method").accuracy.count().to_dict() == dict.fromkeys(frame.method, 2)


def test_cells_without_an_evaluation_are_rows_if_asked_for(run, tmp_path):
    run(methods=["tiny-broken", "tiny-noise"])
    assert set(bench.load_results(tmp_path / "out").method) == {"tiny-noise"}
    frame = bench.load_results(tmp_path / "out", unfinished=True)
    (broken,) = frame[frame.method == "tiny-broken"].itertuples()
    assert (broken.status, broken.reason.split(":")[0]) == ("failed", "ValueError")
    assert pandas.isna(broken.accuracy)


def test_no_records_and_bad_ones_are_told(tmp_path, finished):
    with pytest.raises(BenchError, match=r"no records in .*; run something first"):
        bench.load_results(tmp_path)
    (tmp_path / "cells").mkdir()
    (good, *_) = (finished[0] / "cells").glob("*.json")
    (tmp_path / "cells" / good.name).write_bytes(good.read_bytes())
    (tmp_path / "cells" / "bad.json").write_text("{}")
    with pytest.warns(UserWarning, match="record left out: bad.json: not a record"):
        assert len(bench.load_results(tmp_path)) == 2


def test_without_pandas_one_sentence_says_what_to_install(finished, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(
        BenchError, match=r"needs pandas; install it with pip install 'video-distillation-bench\[notebook\]'"
    ):
        bench.load_results(finished[0])


# ----------------------------------------------------------------------------------------------------------------------
# A set as a dataset


def test_a_set_is_a_dataset_of_clips_and_labels(finished, registries):
    (record,) = [record for record in RecordStore(finished[0]).all() if record.cell.method == "tiny-walk"]
    folder = finished[0] / "artefacts" / record.id
    data = bench.load_set(folder)
    plain, _ = load_artefact(folder, registries)
    assert (len(data), data.classes) == (3, ("amber", "blue", "coral"))
    rendered = plain.render(torch.arange(3), generator("x"))
    for number in range(3):
        clip, label = data[number]
        assert torch.equal(clip, rendered[number])
        assert (label.dtype, int(label)) == (torch.int64, number)
    assert torch.equal(data[-1][0], data[2][0])
    with pytest.raises(IndexError):
        data[3]
    clips, labels = next(iter(torch.utils.data.DataLoader(data, batch_size=2)))
    assert (tuple(clips.shape), labels.tolist()) == ((2, 3, 4, 16, 16), [0, 1])
    with pytest.raises(BenchError, match="no distilled set there"):
        bench.load_set(finished[0])


class Drawn(torch.nn.Module):
    """A set that renders what it draws."""

    labels = torch.arange(2)

    def __len__(self):
        return 2

    def render(self, index, rng):
        return torch.randn(len(index), 3, 2, 4, 4, generator=rng)


def test_a_clip_that_stands_still_can_be_changed():
    from bench.results.dataset import DistilledClips
    from bench.sets.keyframes import KeyframeSet

    data = DistilledClips(KeyframeSet(torch.randn(2, 3, 1, 4, 4), torch.arange(2), 5, "nearest"), ("a", "b"))
    clip, _ = data[1]
    clip[:, 0] = 0
    assert bool(clip[:, 1:].any())
    assert not torch.equal(data[1][0], clip)


def test_random_sets_draw_from_pytorchs_generator_or_the_one_given():
    from bench.results.dataset import DistilledClips

    torch.manual_seed(5)
    data = DistilledClips(Drawn(), ("a", "b"))
    one, other = data[0][0], data[0][0]
    assert not torch.equal(one, other)
    torch.manual_seed(5)
    assert torch.equal(data[0][0], one)
    state = torch.random.get_rng_state()
    own = DistilledClips(Drawn(), ("a", "b"), generator("own"))
    assert torch.equal(own[0][0], DistilledClips(Drawn(), ("a", "b"), generator("own"))[0][0])
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"folder": None}, r"load_set\(\): folder=None is not a path"),
        ({"folder": "a" * 300}, "is no path: a name in it has 300 bytes"),
        ({"folder": "nowhere", "plugin": "none.py"}, "--plugin: no file 'none.py'"),
    ],
)
def test_a_set_that_cannot_be_loaded_is_refused_in_a_sentence(arguments, words):
    with pytest.raises(BenchError, match=words):
        bench.load_set(**arguments)
