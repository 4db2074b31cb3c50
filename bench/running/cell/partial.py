"""What an unfinished cell keeps of the networks that it trains, so that it trains none twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, final

import torch

from bench.api import Checkpoints, Evaluation
from bench.core.files import parse_json, set_aside, write_atomic
from bench.core.sealed import seal, unseal
from bench.results.artefacts import load_meta
from bench.results.records import PhaseCost
from bench.running.cell import checkpoints
from bench.running.cell.attempt import Attempt
from bench.running.cell.checkpoints import FileCheckpoints
from bench.running.cell.costs import PhaseMeter
from bench.running.cell.provenance import processor


@final
class Trainings:
    """The networks of one phase of judging, on disk: finished evaluations, and the state of the training under way.

    Args:
        attempt: at the cell.
        phase: ``evaluate`` or ``probe``.
        file: name of the file of its finished evaluations.

    Attributes:
        phase: see above.
        done: evaluations that earlier parts of the cell finished.
        meter: measures the phase; begins with what earlier parts of the cell spent on it.
        processors: the kinds of processor that have worked on it, this one last unless it has before.
    """

    def __init__(self, attempt: Attempt, phase: str, file: str) -> None:
        self._attempt = attempt
        self.phase = phase
        self._path = attempt.checkpoints / file
        self._training = attempt.checkpoints / "training.safetensors"
        self.done, cost, earlier = self._read()
        under_way = self._meta_of_training()
        self.meter = PhaseMeter(attempt.device, PhaseCost(**under_way["cost"]) if under_way else cost)
        earlier += under_way.get("processors", ()) if under_way else ()
        self.processors = list(dict.fromkeys([*earlier, processor(str(attempt.device))]))

    def keep(self, done: Sequence[Evaluation]) -> None:
        """Writes all finished evaluations; says so where it cannot. The state of the last training is not needed any more."""
        body = {"evaluations": [asdict(evaluation) for evaluation in done], **self._about()}
        try:
            write_atomic(self._path, json.dumps(seal(body)).encode())
        except OSError as error:
            self._attempt.say(f"cannot keep finished networks in {self._path} ({error.strerror}); going on without")
        self._training.unlink(missing_ok=True)

    def saved(self, number: int) -> Checkpoints:
        """The checkpoints of the training of a network, with the cost of the phase so far; one file for all networks."""
        return FileCheckpoints(
            self._training, self._owner(number), self._attempt.device, self._attempt.reporter,
            checkpoints.CHECKPOINT_SECONDS, self._about, self._attempt.say,
        )  # fmt: skip

    def _about(self) -> dict[str, Any]:
        """What is kept beside evaluations and states: what the phase has cost, and the kinds of processor it ran on."""
        return {"cost": asdict(self.meter.so_far()), "processors": self.processors}

    def _owner(self, number: int) -> str:
        """Whose state the file of the training under way holds. States are not shared between versions of PyTorch."""
        return f"{self._attempt.cell.id()} {self.phase} {number} torch {torch.__version__}"

    def _read(self) -> tuple[list[Evaluation], PhaseCost | None, list[str]]:
        """The finished evaluations, what they cost and on what they were made; a damaged file is set aside, and said so."""
        try:
            body = unseal(parse_json(self._path.read_text(encoding="utf-8")))
            evaluations = [_evaluation(fields) for fields in body["evaluations"]]
            return evaluations, PhaseCost(**body["cost"]), list(body.get("processors", ()))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError):
            self._attempt.say(f"{self._path} is damaged, now {set_aside(self._path).name}; what it held is done again")
        return [], None, []

    def _meta_of_training(self) -> dict[str, Any] | None:
        """What is kept beside the state of the training under way; None if that is another phase's."""
        meta = load_meta(self._training)
        return None if meta is None or meta.get("cell") != self._owner(len(self.done)) else meta


def _evaluation(fields: dict[str, Any]) -> Evaluation:
    """An evaluation as it was before it was JSON, which knows no tuples."""
    confusion, tested = tuple(map(tuple, fields["confusion"])), tuple(fields["checkpoints"])
    return Evaluation(**{**fields, "confusion": confusion, "checkpoints": tested})
