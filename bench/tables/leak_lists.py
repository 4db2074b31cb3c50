"""Reads which test clips leaked into the training split: the lists that ``data check --leaks --to`` writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.core.errors import BenchError
from bench.data.leaks import file_name, read_csv
from bench.results import test_clips
from bench.results.records import Record
from bench.tables.leaks import Leaks


def read_leaks(out: Path, file: str, records: Sequence[Record]) -> Leaks:
    """Reads which test clips leaked into train.

    Args:
        out: the folder of results.
        file: a list that counts for all datasets; "" for the lists in ``out``, each named after its dataset.
        records: of all cells.

    Raises:
        BenchError: there is no list, it names no test clip of the records, or these do not say which clips they tested.
    """
    digests = {str(record.data["test_keys_digest"]) for record in records if "test_keys_digest" in record.data}
    keys_of = {digest: keys for digest in sorted(digests) if (keys := test_clips.read(out, digest)) is not None}
    if not keys_of:
        raise BenchError(
            f"--without-leaks: no record in {out} says which test clips were classified correctly; "
            "`run --resume always` writes records that do"
        )
    datasets = sorted({record.cell.dataset for record in records})
    if file:
        listed = read_csv(Path(file))
        if listed and not listed & set().union(*keys_of.values()):
            raise BenchError(f"--without-leaks {file}: none of its {len(listed)} clips is a test clip of these records")
        return Leaks(dict.fromkeys(datasets, listed), keys_of)
    paths = {name: out / "leaks" / file_name(name) for name in datasets}
    lists = {name: read_csv(path) for name, path in paths.items() if path.exists()}
    if not lists:
        raise BenchError(
            f"--without-leaks: no list of leaks, such as {paths[datasets[0]]}; "
            "write it with `python -m bench data check DATASET --leaks --to FILE.csv`, or name another FILE.csv"
        )
    return Leaks(lists, keys_of)
