"""How torch trains a forecaster on sequences of rows: seeded, on one thread, ended once it no longer gets better.

The only place that torch is used in. What comes out are plain numpy arrays; scoring is a kernel and does without torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from smartflow_assets.core.detectors.optional_libraries import library

if TYPE_CHECKING:
    from numpy.typing import NDArray

LENGTH = 32
"""Rows of a sequence that are learnt from, after those that lead in."""
LEAST_SEQUENCES = 5
VALIDATION = 0.2  # the newest sequences of each series, which say when to end
BATCH, RATE, PATIENCE = 64, 0.01, 10

Sequences = tuple["NDArray[np.float32]", "NDArray[np.float32]", "NDArray[np.float32]"]
"""Inputs (sequences x rows x k), targets and weights (sequences x rows)."""


def sequences(inputs: NDArray[np.float64], targets: NDArray[np.float64], is_known: NDArray[np.bool_], lead: int, most: int) -> Sequences:
    """The rows of a series split into sequences, each with `lead` rows before, that end with the newest row; at most so many, then
    evenly spread. Those with mostly missing rows are left out."""
    span = lead + LENGTH
    starts = [
        a for a in range((len(targets) - lead) % LENGTH, len(targets) - span + 1, LENGTH) if is_known[a + lead : a + span].mean() >= 0.5
    ]
    starts = starts[:: -(-len(starts) // most) or 1]

    def stacked(rows: NDArray[Any]) -> NDArray[np.float32]:
        return np.array([rows[a : a + span] for a in starts], np.float32).reshape(len(starts), span, *rows.shape[1:])

    return stacked(inputs), stacked(targets), stacked(is_known)


def train(
    build: Callable[[Any, int], Any], series: list[Sequences], *, detector: str, lead: int, epochs: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """Fit the network that `build(torch, inputs)` makes, a module that turns inputs into forecasts; its weights by name.

    Huber's loss, so that anomalies in the history do not bend it. The weights are those of the best epoch, the first ones among
    them. {} where there are fewer than five sequences; SourceError without torch.
    """
    torch = library("torch", detector=detector, extra="deep")
    learn: list[list[NDArray[np.float32]]] = []
    check: list[list[NDArray[np.float32]]] = []
    for one in series:
        border = len(one[0]) - round(len(one[0]) * VALIDATION)
        learn.append([part[:border] for part in one])
        check.append([part[border:] for part in one])
    if sum(len(part[0]) for part in learn) < LEAST_SEQUENCES - 1 or not sum(len(part[0]) for part in check):
        return {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the order of sums must not depend on the machine's load
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = build(torch, learn[0][0].shape[-1])
            rows, held_out = ([torch.from_numpy(np.concatenate(part)) for part in zip(*parts, strict=True)] for parts in (learn, check))
            best = _descend(torch, network, rows, held_out, lead, epochs)
    finally:
        torch.set_num_threads(threads)
    return {name: weight.double().numpy() for name, weight in best.items()}


def _descend(torch: Any, network: Any, rows: list[Any], held_out: list[Any], lead: int, epochs: int) -> dict[str, Any]:
    """The weights that did best on what was held out."""
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)

    def loss(inputs: Any, targets: Any, weights: Any) -> Any:
        errors = torch.nn.functional.smooth_l1_loss(network(inputs), targets, reduction="none")[:, lead:]
        return (errors * weights[:, lead:]).sum() / weights[:, lead:].sum()

    best, lowest, best_epoch = {}, np.inf, 0
    for epoch in range(epochs + 1):
        with torch.no_grad():
            now = float(loss(*held_out))
        if not best or now < lowest - 1e-5:
            best, lowest, best_epoch = {name: weight.detach().clone() for name, weight in network.state_dict().items()}, now, epoch
        elif epoch - best_epoch >= PATIENCE:
            break
        order = torch.randperm(len(rows[0]))
        for a in range(0, len(order), BATCH):
            optimiser.zero_grad()
            loss(*(part[order[a : a + BATCH]] for part in rows)).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
    return best
