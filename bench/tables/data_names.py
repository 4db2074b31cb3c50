"""What titles call the data of a group, so that no two data sets have one name. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from bench.results.records import Record
from bench.tables.rows import Group

_Data = tuple[str, tuple[tuple[str, int], ...]]
"""What tells clips apart: fingerprint and geometry."""


def names_of_data(groups: Mapping[Group, Sequence[Record]]) -> dict[Group, str]:
    """For each group the name of its dataset and, where several data have that name in one profile, what tells them apart.

    That is the options of the dataset, ``shapes-mixed[train=4]``, if all records know them; else geometry and fingerprint.

    Args:
        groups: the records of each.
    """
    alike: defaultdict[tuple[str, str], defaultdict[_Data, list[Group]]] = defaultdict(lambda: defaultdict(list))
    for group in groups:
        alike[group.dataset, group.profile][group.fingerprint, group.geometry].append(group)
    names: dict[Group, str] = {}
    for (dataset, _), members in alike.items():
        records = {data: [record for group in same for record in groups[group]] for data, same in members.items()}
        of_data = dict.fromkeys(members, dataset) if len(members) == 1 else _distinct(dataset, records)
        names |= {group: of_data[data] for data, same in members.items() for group in same}
    return names


def _distinct(dataset: str, records: Mapping[_Data, Sequence[Record]]) -> dict[_Data, str]:
    written = {data: {record.data.get("written") for record in of_data} for data, of_data in records.items()}
    known = {data: name for data, names in written.items() if len(names) == 1 for name in names if name is not None}
    return known if len(set(known.values())) == len(records) else _described(dataset, records)


def _described(dataset: str, several: Iterable[_Data]) -> dict[_Data, str]:
    """The dataset's name, with all of the geometry and the fingerprint in which data differ."""
    facts = {data: {**dict(data[1]), "data": data[0][:12]} for data in several}
    differing = [
        name
        for name in dict.fromkeys(name for of_data in facts.values() for name in of_data)
        if len({of_data.get(name) for of_data in facts.values()}) > 1
    ]
    return {
        data: f"{dataset} ({', '.join(f'{name} {of_data[name]}' for name in differing if name in of_data)})"
        for data, of_data in facts.items()
    }
