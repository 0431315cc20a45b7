"""Ratios of speeds with their intervals, computed from blocks as vitbench's timing stage does: see METHODOLOGY.md."""

import math
import statistics
from collections import defaultdict

# 97.5 % quantiles of Student's t distribution for 1 to 30 degrees of freedom (NIST/SEMATECH e-Handbook, 1.3.6.7.2).
T_QUANTILES = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)
MAX_PROCESSES = len(T_QUANTILES) + 1

OURS = ("vitbench", "")


def interval(values):
    """The mean of values and the ends of its 95 % interval. One value has no interval: its ends are None."""
    mean = statistics.fmean(values)
    if len(values) == 1:
        return mean, None, None
    half = T_QUANTILES[len(values) - 2] * statistics.stdev(values) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def peer_name(side, variant):
    """`pytorch compile_token_major` of pytorch's variant, `openvino` of openvino's only one."""
    return f"{side} {variant}".rstrip()


def ratios(rows):
    """The rows of ratios.csv, from those of blocks.csv: how many times as fast vitbench is as each peer.

    In each block, both sides were timed close together, so the ratio of their times is formed there. A process
    contributes the median over its blocks, and the interval is one over processes, because they differ by more than
    their blocks show.
    """
    table = []
    for (model, mode, precision), sides in grouped(rows).items():
        ours = sides.pop(OURS, None)
        if ours is None:
            continue
        logs = {peer: log_ratios(ours, theirs) for peer, theirs in sides.items()}
        by_side = defaultdict(list)
        for (side, variant), values in logs.items():
            table.append(row(model, mode, precision, peer_name(side, variant), values))
            by_side[side].append(values)
        for side, variants in by_side.items():
            if len(variants) > 1:
                # The variant that vitbench is ahead of by least is the fastest one.
                best = min(variants, key=statistics.fmean)
                table.append(row(model, mode, precision, f"{side} best", best))
    return table


def grouped(rows):
    """Times of a step: {(model, mode, precision): {(side, variant): {process: {block: step_s}}}}."""
    groups = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for sample in rows:
        sides = groups[sample["model"], sample["mode"], sample["precision"]]
        sides[sample["side"], sample["variant"]][int(sample["process"])][int(sample["block"])] = float(sample["step_s"])
    return groups


def log_ratios(ours, theirs):
    """Per process, the median over blocks of the logarithm of the ratio of rates."""
    return [
        statistics.median(math.log(theirs[process][block] / ours[process][block]) for block in theirs[process])
        for process in theirs
    ]


def row(model, mode, precision, peer, values):
    ends = ["" if value is None else f"{math.exp(value):.4f}" for value in interval(values)]
    return dict(zip(("ratio", "low", "high"), ends), schema=1, model=model, mode=mode, precision=precision, peer=peer)


def as_text(table):
    """A table for the terminal."""
    lines = [f"{'model':<12} {'mode':<11} {'peer':<28} {'times as fast':>13}  95 % interval"]
    for cells in table:
        ends = f"{float(cells['low']):.2f} to {float(cells['high']):.2f}" if cells["low"] else ""
        start = f"{cells['model']:<12} {cells['mode']:<11} {cells['peer']:<28}"
        lines.append(f"{start} {float(cells['ratio']):>13.2f}  {ends}".rstrip())
    return "\n".join(lines)
