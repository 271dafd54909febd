"""What `nw.watch` costs: the same plain loop with and without it, in processes of their own that take turns.

The figure is the ratio of the medians. `table` gives the block of docs/bench.md that `make bench` writes; run by
itself, it prints it.

    python benchmarks/watch.py [ROUNDS]
    python benchmarks/watch.py plain|watched WORKLOAD      takes steps when told to (`fresh.Contender`)
"""

import statistics
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import contenders  # noqa: E402
import fresh  # noqa: E402
import torch  # noqa: E402
from torch.nn import functional as F  # noqa: E402

__all__ = ["table"]

MOST = 1.03  # the watched loop's time over the plain one's
TURNS, BURST = 20, 0.5  # in a round; seconds of steps in each, so that the watch looks many times
_WAYS = ("plain", "watched")


def run(way: str, workload: str) -> None:
    """A plain loop: resident tensors, batches by index, Adam."""
    import netwright as nw

    x, y = contenders.data()
    net, clock = contenders.network(workload), contenders.Clock(workload)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    doctor = nw.watch(net, optimizer) if way == "watched" else None
    while True:
        for index in torch.randperm(len(x)).split(contenders.BATCH):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x[index]), y[index])
            loss.backward()
            optimizer.step()
            if doctor is not None:
                doctor.step(loss)
            clock.tick()


def table(rounds: int) -> str:
    """The overhead as Markdown."""
    lines = ["## The doctor's watch", "", "| network | plain, ms a step | watched, ms a step | watched / plain |",
             "|---|---|---|---|"]  # fmt: skip
    verdicts = []
    for workload, name in contenders.WORKLOADS.items():
        times: dict[str, list[float]] = {way: [] for way in _WAYS}
        for _ in range(rounds):
            with (
                fresh.Contender("watch.py", "plain", workload) as plain_loop,
                fresh.Contender("watch.py", "watched", workload) as watched_loop,
            ):
                found = fresh.in_turns({"plain": plain_loop, "watched": watched_loop}, TURNS, BURST)
            for way in _WAYS:
                times[way] += found[way]
        plain, watched = (statistics.median(times[way]) for way in _WAYS)
        ratio = watched / plain
        lines.append(f"| {name} | {_ms(times['plain'])} | {_ms(times['watched'])} | {ratio:.3f} |")
        verdict = "reached" if ratio <= MOST else "missed"
        verdicts.append(f"- {name}: overhead {100 * (ratio - 1):.1f} % (at most {100 * (MOST - 1):.0f} %): {verdict}")
    return "\n".join([*lines, "", *verdicts, ""])


def _ms(times: list[float]) -> str:
    middle, least, most = statistics.median(times), min(times), max(times)
    return f"{middle * 1e3:.3f} ({least * 1e3:.3f} to {most * 1e3:.3f})"


if __name__ == "__main__":
    if len(sys.argv) > 2:
        run(*sys.argv[1:])
    else:
        print(table(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
