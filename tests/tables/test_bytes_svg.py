"""The picture of accuracy against bytes: every point where its figures say, the front as the tables mark it, the same bytes each time."""

from __future__ import annotations

import random
import re
from xml.etree import ElementTree

import pytest

from bench.tables.by_bytes import by_bytes
from bench.tables.bytes_svg import has_picture, picture
from bench.tables.leaderboard import leaderboards
from tests.tables.conftest import record

SVG = "{http://www.w3.org/2000/svg}"
KIB = 1 << 10


def records():
    made = [record("full", [95, 93], ipc=None, seed=None, stored=4096 * KIB)]
    for seed in range(3):
        made += [
            record("random", [60 + seed, 62 + seed], seed=seed, stored=64 * KIB),
            record("dm", [70 + seed, 74 + seed], seed=seed, stored=256 * KIB),
            record("mtt", [50 + seed, 54 + seed], seed=seed, stored=256 * KIB),
            record("dm", [66 + seed, 64 + seed], seed=seed, stored=32 * KIB, setting="n1-r1-k1-nearest"),
        ]
    return [*made, record("herding", status="failed", reason="no")]


def drawn(made):
    return ElementTree.fromstring(picture(leaderboards(made)))


def points(root):
    """What each point says, and where it is."""
    found = {}
    for path in root.iter(f"{SVG}path"):
        if (title := path.find(f"{SVG}title")) is not None:
            x, y = re.fullmatch(r"translate\((.*),(.*)\)", path.get("transform")).groups()
            found[title.text] = (float(x), float(y), path.get("class"))
    return found


def test_every_row_is_a_point_that_says_its_figures():
    found = points(drawn(records()))
    assert len(found) == 5
    assert {text.partition(":")[0] for text in found} == {"full", "random", "dm", "mtt", "dm, static"}
    assert any(re.fullmatch(r"dm: 73\.0 ± \d+\.\d %, 262,144 bytes", text) for text in found)
    assert [text for text, (_, _, kind) in found.items() if "hollow" in kind] == [t for t in found if "static" in t]


def test_places_are_linear_in_accuracy_and_logarithmic_in_bytes():
    at = {text.partition(":")[0]: place for text, place in points(drawn(records())).items()}
    octave = (at["full"][0] - at["random"][0]) / 6
    assert at["random"][0] - at["dm, static"][0] == pytest.approx(octave, abs=0.2)
    assert at["dm"][0] == at["mtt"][0] == pytest.approx(at["random"][0] + 2 * octave, abs=0.2)
    point = (at["dm"][1] - at["full"][1]) / (94 - 73)
    assert point > 2
    assert at["mtt"][1] - at["dm"][1] == pytest.approx(20 * point, abs=0.3)


def test_the_line_goes_through_the_front_and_names_it():
    root = drawn(records())
    (line,) = [path.get("d") for path in root.iter(f"{SVG}path") if path.get("class") == "front"]
    at = {text.partition(":")[0]: place for text, place in points(root).items()}
    (group,) = by_bytes(leaderboards(records()))
    assert [point.row.label for point in group if point.optimal] == ["dm", "dm", "full"]
    front = [at["dm, static"], at["dm"], at["full"]]
    x0, y0, _ = front[0]
    assert line == f"M{x0:.1f},{y0:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y, _ in front[1:])
    named = [text.text for text in root.iter(f"{SVG}text") if "halo" in text.get("class", "")]
    assert sorted(named) == ["dm", "dm, static", "full"]


def test_everything_of_many_methods_and_datasets_stays_on_the_paper():
    made = [
        record(f"method-{n}", [20 + n, 22 + n], stored=KIB << (n // 3), dataset=f"data{n % 2}", seed=seed)
        for n in range(40)
        for seed in range(3)
    ]
    root = drawn(made)
    width, height = map(float, root.get("viewBox").split()[2:])
    for text in root.iter(f"{SVG}text"):
        assert 0 < float(text.get("y")) < height
        assert 0 < float(text.get("x")) <= width
    assert len(points(root)) == 40
    assert len([text for text in root.iter(f"{SVG}text") if text.get("class") == "ink title"]) == 2


def test_the_same_records_in_any_order_are_the_same_bytes():
    made = records()
    expected = picture(leaderboards(made))
    random.Random(0).shuffle(made)
    assert picture(leaderboards(made)) == expected


def test_names_from_outside_stay_text():
    hostile = '</text><script>alert(1)</script>"&'
    root = drawn([record("dm", [50, 60], dataset=hostile)])
    assert any(hostile in (text.text or "") for text in root.iter(f"{SVG}text"))
    assert [node.tag for node in root.iter() if "script" in node.tag] == []


def test_light_and_dark_have_colours_of_their_own():
    style = drawn(records()).find(f"{SVG}style").text
    light, dark = style.split("@media(prefers-color-scheme:dark)")
    colours = [set(re.findall(r"#[0-9a-f]{3,6}", part)) for part in (light, dark)]
    assert len(colours[0]) > 9
    assert not colours[0] & colours[1]


def test_trials_on_validation_are_drawn_only_alone():
    trial = record("mtt", [99, 98], judged_on="validation")
    assert {text.partition(":")[0] for text in points(drawn([record("dm", [50, 60]), trial]))} == {"dm"}
    assert {text.partition(":")[0] for text in points(drawn([trial]))} == {"mtt"}


def test_without_bytes_there_is_no_picture():
    assert has_picture(leaderboards(records()))
    assert not has_picture(leaderboards([record("dm", [50, 60], stored=None), record("mtt", status="oom")]))
