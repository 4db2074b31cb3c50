"""The report in a real browser: it is opened and clicked as a reader would."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bench.report.content import content
from bench.report.page import page
from bench.report.pictures import data_uri, png, sprite
from bench.results.records import PhaseCost, Record
from tests.report.chromium import MISSING, Browser, find
from tests.tables.conftest import record

HOSTILE = "</script><script>document.title = 'broken'</script><img src=x onerror=\"document.title = 'broken'\">"

pytestmark = pytest.mark.skipif(find() is None, reason=MISSING)


def curved(entry: Record) -> Record:
    """With a loss, temporal probes and costs."""
    probed = [dataclasses.replace(e, probes={"frozen": 40, "reversed": 60}, frozen_both=45) for e in entry.evaluations]
    return dataclasses.replace(
        entry,
        history={"step": [1.0, 2.0, 3.0], "loss": [9.0, 4.0, 1.0]},
        evaluations=tuple(probed),
        costs={"distil": PhaseCost(30.0, 30.0, 0, 1 << 28), "evaluate": PhaseCost(10.0, 10.0, 0, 1 << 28)},
    )


def records():
    full = record("full", [95, 93], ipc=None, seed=None, stored=40 << 20)
    random = [record("random", [60 + s, 61 + s], seed=s, stored=1 << 20) for s in range(3)]
    dm = [curved(record("dm", [72 + s, 74 + s], seed=s, stored=4 << 20)) for s in range(3)]
    five = [record("dm", [80 + s, 82 + s], seed=s, stored=20 << 20, ipc=5) for s in range(3)]
    static = [record("dm", [55 + s, 52 + s], seed=s, stored=1 << 19, setting="n1-r1-k1-nearest") for s in range(3)]
    broken = record("mtt", status="failed", reason=HOSTILE)
    other = record("random", [50, 52], dataset="shapes-motion", fingerprint="e" * 64)
    return [full, *random, *dm, *five, *static, broken, other]


def compared():
    """Two datasets with three methods of three seeds each, one far ahead, and codecs in a budget of bytes."""
    made = []
    for number, dataset in enumerate(("shapes-mixed", "shapes-motion")):
        cell = {"dataset": dataset, "fingerprint": "fe"[number] * 64}
        for seed in range(3):
            made += [
                record("mtt", [90 + seed, 91 + seed], seed=seed, data={"class_names": ["run", "walk"]}, **cell),
                record("dm", [60 + seed, 61 + seed], seed=seed, stored=2 << 20, **cell),
                record("random", [60 + seed, 61 + 2 * seed], seed=seed, **cell),
            ]
    at = {"budget": 1 << 20, "ipc": 20, "clips": 12, "data": {"classes": 2}}
    for seed in range(3):
        made += [
            record(f"codec-{name}", [right, right + seed], seed=seed, stored=(1 << 20) - 9, **at)
            for name, right in (("av1", 80), ("h264", 70))
        ]
    return made


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(find(), tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def opened(browser, tmp_path):
    """The report, freshly opened at the size of a laptop by a reader who prefers light."""
    pixels = np.random.default_rng(0).integers(0, 255, (8, 32, 32, 3), np.uint8)
    clip = {"label": 1, "image": data_uri(png(sprite(pixels)), "png"), "frames": 8}
    made = records()
    shown = next(entry.id for entry in made if entry.cell.method == "dm" and entry.cell.ipc == 1)
    body = content(made, (), {"f" * 64: ["walk", HOSTILE]}, {shown: [clip]}, {"f" * 64: [clip]})
    file = tmp_path / "report.html"
    file.write_text(page(body), encoding="utf-8")
    browser.problems.clear()
    browser.prefer("light")
    browser.resize(1200, 800)
    browser.open(file)
    yield browser
    browser.run("localStorage.clear()")
    assert browser.problems == []
    assert browser.run("document.title") == "Video dataset distillation: report"


@pytest.fixture
def comparison(opened, tmp_path):
    """The report of other records in the same tab."""
    file = tmp_path / "compared.html"
    file.write_text(page(content(compared())), encoding="utf-8")
    opened.open(file)
    return opened


def methods(browser):
    """The first word of each row of the leaderboard."""
    rows = "[...document.querySelectorAll('#table tbody tr')]"
    return browser.run(f"{rows}.map((row) => row.cells[0].textContent.replace('all data', ''))")


def column(browser, head):
    """The texts of a column, without their footnotes."""
    return browser.run(
        "(() => { const heads = [...document.querySelectorAll('#table th')].map((h) => h.textContent);"
        f" const at = heads.indexOf({head!r});"
        " return [...document.querySelectorAll('#table tbody tr')].map((row) => { const cell = row.cells[at].cloneNode(true);"
        " cell.querySelectorAll('sup').forEach((s) => s.remove()); return cell.textContent; }); })()"
    )


def test_it_opens_with_every_section_drawn_and_asks_for_nothing(opened):
    assert methods(opened)[:5] == ["full", "dm", "dm", "random", "dm"]  # by accuracy
    assert sorted(methods(opened)[5:]) == ["mtt", "mtt", "random"]  # one failed; two were not asked for at IPC 5
    drawn = opened.run(
        "Object.fromEntries([...document.querySelectorAll('section')].map((s) => [s.id, s.querySelectorAll('.plot svg, td, dl').length]))"
    )
    assert len(drawn) == 11
    assert [name for name, count in drawn.items() if count == 0] == []
    assert opened.run("document.querySelectorAll('#bytes .point').length") == 5
    assert opened.run("document.querySelector('#bytes .front') !== null")
    assert opened.run("document.querySelectorAll('#taxonomy .point').length") == 2
    assert opened.run("document.querySelectorAll('#losses path[fill=none]').length") == 3


def test_a_click_on_a_header_sorts_and_another_turns_it_round(opened):
    assert column(opened, "MiB")[0] == "40.0"  # by accuracy: the full data first
    opened.click("[data-sort=stored]")
    assert [text for text in column(opened, "MiB") if text] == ["40.0", "20.0", "4.00", "1.00", "0.500"]
    assert opened.run("document.querySelector('th[aria-sort]').getAttribute('aria-sort')") == "descending"
    opened.click("[data-sort=stored]")
    assert [text for text in column(opened, "MiB") if text] == ["0.500", "1.00", "4.00", "20.0", "40.0"]
    assert column(opened, "MiB")[-1] == ""  # what is missing stays last
    opened.click("[data-sort=method]")
    assert methods(opened)[0] == "dm"
    assert methods(opened)[-1] == "random"


def test_filters_reach_the_table_and_the_plots(opened):
    opened.click("#query")
    opened.type("rand")
    assert set(methods(opened)) == {"random"}
    assert opened.run("document.querySelectorAll('#bytes .point').length") == 1
    opened.run(
        "(() => { const q = document.getElementById('query'); q.value = ''; q.dispatchEvent(new Event('input')); })()"
    )
    choose(opened, "amount", "IPC 5")
    assert "random" not in [
        name for name, text in zip(methods(opened), column(opened, "accuracy %"), strict=True) if "±" in text
    ]
    assert opened.run("document.querySelectorAll('#bytes .point').length") == 2
    choose(opened, "amount", "")
    choose(opened, "setting", "n1-r1-k1-nearest")
    assert [text for text in column(opened, "setting") if text] == ["static"] * len(
        [t for t in column(opened, "setting") if t]
    )
    choose(opened, "group", "1")
    assert methods(opened) == ["random"]
    assert "shapes-motion" in opened.run("document.querySelector('#provenance dd').textContent")


def test_dark_follows_the_system_and_the_button_overrules_it(opened):
    def paper():
        return opened.run("getComputedStyle(document.body).backgroundColor")

    light = paper()
    opened.prefer("dark")
    opened.wait("document.documentElement.dataset.theme === 'dark'")
    dark = paper()
    assert dark != light
    opened.click("#theme")
    assert paper() == light
    opened.click("#theme")
    assert paper() == dark


@pytest.mark.parametrize("width", [360, 768])
def test_a_narrow_screen_scrolls_only_downwards(opened, width):
    opened.resize(width, 740)
    opened.wait(f"innerWidth === {width}")
    svg = "document.querySelector('#bytes svg')"
    opened.wait(f"Math.abs({svg}.viewBox.baseVal.width - {svg}.clientWidth) < 2")  # drawn anew for this width
    assert opened.run("document.documentElement.scrollWidth") == width
    assert opened.run(
        "[...document.querySelectorAll('section')].every((s) => s.getBoundingClientRect().right <= innerWidth)"
    )
    small = opened.run(
        "Math.min(...[...document.querySelectorAll('svg:not(.mark) text')].map((t) => t.getBoundingClientRect().height))"
    )
    assert small > 8


def test_a_row_opens_its_classes_and_a_point_says_what_it_is(opened):
    opened.click("#table tbody tr:last-child")  # mtt has no classes: nothing happens that breaks
    opened.click("#table tbody tr:first-child")
    assert opened.run("document.getElementById('row').selectedOptions[0].textContent").startswith("full")
    assert opened.run("document.querySelectorAll('#classes .two > div:last-child rect').length") == 4
    opened.run("document.querySelector('#bytes .point').focus()")
    assert "MiB" in opened.run("document.getElementById('tip').textContent")


def test_pairs_are_coloured_where_one_is_better_beyond_chance(comparison):
    assert comparison.run("[...document.querySelectorAll('#pairs h3')].map((h) => h.textContent)") == [
        "IPC 1, dense",
        "1 MiB, dense",
    ]
    choose(comparison, "amount", "IPC 1")
    squares = "[...document.querySelectorAll('#pairs rect')]"
    assert comparison.run(f"{squares}.map((s) => s.getAttribute('class'))").count("real") == 2  # mtt over both
    assert comparison.run(f"{squares}.length") == 3
    comparison.run(f"{squares}.find((s) => s.getAttribute('class') === 'real').focus()")
    told = comparison.run("document.getElementById('tip').textContent")
    assert told.startswith("mtt over ")
    assert told.endswith("a real difference")
    comparison.click("#query")
    comparison.type("dm random")
    assert comparison.run(f"{squares}.map((s) => s.getAttribute('class'))") == ["unreal"]


def test_mean_ranks_over_datasets_have_a_point_a_method_and_the_critical_difference(comparison):
    assert comparison.run("[...document.querySelectorAll('#ranks h3')].map((h) => h.textContent)") == [
        "IPC 1 · dense · shapes-mixed, shapes-motion"
    ]
    at = comparison.run("[...document.querySelectorAll('#ranks .point')].map((p) => p.getCTM().e)")
    assert len(at) == 3
    assert at[0] < at[1] <= at[2]  # the best rank is on the left
    assert "critical difference" in comparison.run("document.querySelector('#ranks svg').textContent")
    assert "cannot be told apart" in comparison.run("document.querySelector('#ranks p').textContent")  # of two datasets


def test_a_budget_in_bytes_is_shown_with_the_clips_that_fit(comparison):
    choose(comparison, "amount", "1 MiB")
    assert methods(comparison) == ["codec-av1", "codec-h264"]
    assert column(comparison, "budget") == ["1 MiB", "1 MiB"]
    assert column(comparison, "clips a class") == ["6", "6"]
    assert "undefined" not in comparison.run("document.querySelector('main').textContent")


def test_classes_are_named_by_the_records(comparison):
    assert "walk" in comparison.run("document.querySelector('#classes .plot').textContent")


@pytest.mark.parametrize("width", [360, 768])
def test_comparisons_fit_a_narrow_screen(comparison, width):
    comparison.resize(width, 740)
    comparison.wait(f"innerWidth === {width}")
    svg = "document.querySelector('#pairs svg')"
    comparison.wait(f"Math.abs({svg}.viewBox.baseVal.width - {svg}.clientWidth) < 2")
    assert comparison.run("document.documentElement.scrollWidth") == width
    edges = "[...document.querySelectorAll('#pairs rect, #ranks .point')].map((s) => s.getBoundingClientRect().right)"
    assert comparison.run(f"Math.max(...{edges})") <= width


def test_clips_play_beside_real_ones_and_stop(opened):
    assert opened.run("document.querySelectorAll('#clips .clip').length") == 2

    def frames():
        return opened.run(
            "(() => { const clip = document.querySelector('#clips .clip'), seen = [];"
            " const a = clip.getAnimations()[0]; a.pause();"
            " for (let t = 0; t < 8; t++) { a.currentTime = 125 * t + 60; seen.push(getComputedStyle(clip).backgroundPositionX); }"
            " a.play(); return seen; })()"
        )

    assert [round(float(x.rstrip("%")) * 7 / 100, 3) for x in frames()] == list(range(8))  # each of eight frames once
    opened.click("#play")
    assert opened.run("getComputedStyle(document.querySelector('#clips .clip')).animationPlayState") == "paused"


def test_text_from_outside_stays_text(opened):
    assert HOSTILE in opened.run("document.querySelector('#failures').textContent")
    assert opened.run("document.querySelectorAll('#failures img, #classes img').length") == 0


def choose(browser, name, value):
    browser.run(
        f"(() => {{ const node = document.getElementById({name!r}); node.value = {value!r};"
        " node.dispatchEvent(new Event('change')); })()"
    )
