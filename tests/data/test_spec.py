"""How users write datasets."""

from __future__ import annotations

import pytest

from bench.core.errors import BenchError
from bench.core.text import split_list
from bench.data.spec import as_written, parse_dataset
from bench.data.standin import stand_in


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a,b", ["a", "b"]),
        ("a[x=1,y=2],b,c[z=3]", ["a[x=1,y=2]", "b", "c[z=3]"]),
        (" a , ,b,", ["a", "b"]),
        ("a[x=1,y=2]", ["a[x=1,y=2]"]),
        ("folder:x/y z,a", ["folder:x/y z", "a"]),
        ("", []),
        ("a[x=1,b", ["a[x=1,b"]),
        ("a]],b", ["a]]", "b"]),
        ("[" * 50_000, ["[" * 50_000]),
        ("a," * 50_000, ["a"] * 50_000),
    ],
)
def test_lists_are_split_outside_brackets(text, parts):
    assert split_list(text) == parts


def test_options_are_read_as_their_types(registries):
    dataset = parse_dataset("shapes-mixed[frames=16, size=64,seed=3]", registries)
    assert dataset.name == "shapes-mixed"
    assert (dataset.options.frames, dataset.options.size, dataset.options.seed) == (16, 64, 3)
    assert dataset.options.train == 100


def test_spaces_around_and_empty_brackets_change_nothing(registries):
    plain = parse_dataset("shapes-motion", registries)
    for text in (" shapes-motion ", "shapes-motion[]"):
        assert parse_dataset(text, registries).options == plain.options


def test_an_argument_is_kept_to_the_letter(registries):
    dataset = parse_dataset("folder[split_seed=2]:My clips/[a]:b", registries)
    assert dataset.argument == "My clips/[a]:b"
    assert dataset.options.split_seed == 2


def test_the_root_is_the_users_or_below_the_data_folder(registries, monkeypatch):
    monkeypatch.setenv("BENCH_DATA", "/videos")
    assert parse_dataset("ucf101", registries, "/elsewhere").root == "/elsewhere"
    assert parse_dataset("ucf101", registries).root == "/videos/ucf101"
    monkeypatch.delenv("BENCH_DATA")
    assert parse_dataset("ucf101", registries).root == "data/ucf101"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shapes-mixd", "unknown dataset 'shapes-mixd'; did you mean shapes-mixed"),
        ("shapes-mixed[frames=16", "cannot read 'shapes-mixed[frames=16'; write name, name[option=value,...] or folder:PATH"),
        ("shapes mixed", "cannot read 'shapes mixed'"),
        ("", "cannot read ''"),
        ("[frames=2]", "cannot read '[frames=2]'"),
        ("folder", "'folder' needs an argument: folder:PATH"),
        ("folder:", "cannot read 'folder:'"),
        ("shapes-mixed:x", "'shapes-mixed' takes no argument after a colon"),
        ("shapes-mixed[frames]", "'frames' in 'shapes-mixed[frames]' is not option=value"),
        ("shapes-mixed[frames=two]", "--datasets shapes-mixed: frames='two' is not int, at least 1 and "),
        ("shapes-mixed[length=2,size=x]", "no field 'length'; size='x' is not int, at least 8"),
        ("shapes-mixed[size=7]", "size='7' is not at least 8"),
        ("shapes-mixed[size=8,size=16]", "'size' is given twice"),
    ],
)  # fmt: skip
def test_a_mistake_is_answered_in_one_sentence(registries, text, message):
    with pytest.raises(BenchError) as caught:
        parse_dataset(text, registries)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown", "written"),
    [
        ("shapes-mixed", "shapes-mixed", "shapes-mixed"),
        ("shapes-mixed[train=100]", "shapes-mixed", "shapes-mixed"),
        ("shapes-mixed[test=5, train=4]", "shapes-mixed", "shapes-mixed[train=4,test=5]"),
        ("folder:a/b", "folder:b", "folder:b"),
    ],
)
def test_a_dataset_is_written_with_the_options_that_are_not_the_defaults(registries, text, shown, written):
    assert as_written(parse_dataset(text, registries), shown) == written


def test_what_is_written_is_read_as_the_same(registries):
    dataset = parse_dataset("scenes[seed=3,frames=4]", registries)
    assert parse_dataset(as_written(dataset, "scenes"), registries).options == dataset.options


def test_a_stand_in_keeps_the_options_of_what_it_stands_for(registries):
    replaced = stand_in(parse_dataset("hmdb51[split=2]", registries))
    assert as_written(replaced, "hmdb51 (stand-in)") == "hmdb51[split=2] (stand-in)"
