"""The control flow of graphed micro-steps, with captures that only count."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lab.modeling.fast import graphs
from lab.modeling.fast.graphs import GraphedStep
from lab.modeling.fast.kernels import IGNORED
from lab.modeling.fast.step import Shaper, step_inputs


class Counted:
    """Launches runs as they are, and counts them, captures and replays."""

    def __init__(self) -> None:
        self.once_run = self.captured = self.replayed = 0

    def once(self, run: graphs.Run, *, again: bool) -> None:
        assert again
        self.once_run += 1
        run()

    def capture(self, run: graphs.Run) -> graphs.Run:
        self.captured += 1

        def replay() -> None:
            self.replayed += 1
            run()

        return replay


def make() -> tuple[GraphedStep, list[nn.Parameter], Counted]:
    parameters = [nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.tensor([[3.0]]))]
    counted = Counted()

    def loss(inputs: dict[str, Any]) -> Tensor:
        return (parameters[0].sum() * parameters[1].sum() * inputs["x"].sum()).reshape(())

    return GraphedStep(loss, parameters, counted), parameters, counted


def test_first_of_a_shape_runs_and_from_the_second_on_it_is_replayed() -> None:
    step, parameters, counted = make()
    for value, expected in ((1.0, 18.0), (2.0, 36.0), (5.0, 90.0)):
        for parameter in parameters:
            parameter.grad = None
        loss = step({"x": torch.full((2,), value), "n": 3})
        assert float(loss) == expected
        assert parameters[1].grad is not None
        assert float(parameters[1].grad) == 3 * 2 * value
    assert (counted.once_run, counted.captured, counted.replayed) == (1, 1, 2)
    for _ in range(2):
        step({"x": torch.ones(4), "n": 3})
        step({"x": torch.ones(2), "n": 4})
    assert (counted.captured, counted.replayed) == (3, 4)


def test_gradients_add_up_until_they_are_cleared() -> None:
    step, parameters, _ = make()
    for _ in range(3):
        step({"x": torch.ones(1)})
    assert parameters[0].grad is not None
    assert parameters[0].grad.tolist() == [9.0, 9.0]
    for parameter in parameters:
        parameter.grad = None
    step({"x": torch.ones(1)})
    assert parameters[0].grad.tolist() == [3.0, 3.0]


def test_many_gradients_are_added_as_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "MANY_BYTES", 8)
    parameters = [nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.tensor([[3.0]]))]
    step = GraphedStep(lambda inputs: (parameters[0].sum() * parameters[1].sum() * inputs["x"]).sum(), parameters)
    losses = [float(step({"x": torch.ones(1)})) for _ in range(3)]
    assert losses == [9.0] * 3
    assert [p.grad.tolist() for p in parameters if p.grad is not None] == [[9.0, 9.0], [[9.0]]]
    assert step.flat.tolist() == [9.0] * 3


def test_a_loss_is_not_changed_by_the_next_replay() -> None:
    step, _, _ = make()
    losses = [step({"x": torch.full((1,), value)}) for value in (1.0, 2.0, 3.0)]
    assert [float(loss) for loss in losses] == [9.0, 18.0, 27.0]


def test_further_shapes_run_without_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "MOST_GRAPHS", 1)
    step, _, counted = make()
    for size in (1, 2, 1, 2, 2, 1):
        assert float(step({"x": torch.ones(size)})) == 9.0 * size
    assert (counted.once_run, counted.captured, counted.replayed) == (4, 1, 2)


def test_forgotten_graphs_are_made_anew() -> None:
    step, _, counted = make()
    for _ in range(2):
        for _ in range(2):
            step({"x": torch.ones(1)})
        step.forget()
    assert (counted.once_run, counted.captured) == (2, 2)
    assert not step.shapes


def batch(tokens: int, ends: list[int], longest: int, predicting: list[int]) -> dict[str, Any]:
    labels = torch.arange(tokens)[None]
    return {
        "input_ids": labels,
        "position_ids": labels,
        "labels": labels,
        "cu_seq_lens": torch.tensor(ends, dtype=torch.int32),
        "max_length": longest,
        "predicting": torch.tensor(predicting),
    }


def test_shapes_follow_from_tokens() -> None:
    shaper = Shaper()
    first, began = shaper(step_inputs(batch(16, [0, 4, 9, 16], 8, [0, 1, 2]), 3))
    second, longer = shaper(step_inputs(batch(16, [0, 16], 16, [0, 1, 2, 3, 4]), 5))
    third, same = shaper(step_inputs(batch(16, [0, 5, 16], 8, [7]), 1))
    assert (began, longer, same) == (True, True, False)
    assert first["cu_seq_lens"].tolist() == [0, 4, 9, 16]
    assert second["cu_seq_lens"].tolist() == [0, 16, 16, 16]
    assert second["max_length"] == third["max_length"] == 16
    assert first["predicting"].tolist() == [0, 1, 2, 0]
    assert first["targets"].tolist() == [1, 2, 3, IGNORED]
    assert len(second["predicting"]) == len(second["targets"]) == 8
    assert float(third["items"]) == 1.0
