"""How probes and train rows were learnt: curves, losses epoch by epoch, and what the categories get right."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.archaeology.trajectories import epoch_learned
from datassay.errors import NotApplicable
from datassay.reporting.style import BLACK, DARK, GREY, LIGHT, SUITES, heading, new_figure, readable, themed

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Records = Mapping[str, np.ndarray]
TRAIN = "train"
MOST_BOXES = 10  # epochs of which a box is drawn
MOST_LINES = 60  # trajectories drawn of a suite
FEW, MANY = 25, 75  # percentiles of bands


def by_suite(records: Records, what: str) -> dict[str, np.ndarray]:
    """Return suite -> recorded array [., S, E] of all its probes, in the order of the palette; last the train rows.

    records: as `archaeology.records.trajectory_arrays` returns; what: loss or right.
    """
    suites = np.concatenate([records["reference_suite"], records["evaluation_suite"]])
    arrays = np.concatenate([records[f"reference_{what}"], records[f"evaluation_{what}"]])
    return {suite: arrays[suites == suite] for suite in SUITES if (suites == suite).any()} | {
        TRAIN: records[f"train_{what}"]
    }


@themed
def probe_curves(records: Records, *, name: str = "") -> "Figure":
    """Draw mean loss and accuracy of every suite and of the train rows over the epochs (mean over seeds)."""
    losses, rights = by_suite(records, "loss"), by_suite(records, "right")
    figure = new_figure(
        10.5, 4.4, heading("how probes are learnt", name),
        "Mean over the probes of a suite and over seeds, under the label they are trained with; band: middle half.",
    )  # fmt: skip
    left, right = figure.subplots(1, 2)
    for suite, loss in losses.items():
        epochs = np.arange(1, loss.shape[2] + 1)
        style = _line_style(suite)
        mean = loss.mean(axis=1)
        left.fill_between(
            epochs, *np.percentile(mean, (FEW, MANY), axis=0), color=SUITES[suite], alpha=0.10, linewidth=0
        )
        left.plot(epochs, mean.mean(axis=0), label=readable(suite), **style)
        right.plot(epochs, rights[suite].mean(axis=(0, 1)), **style)
    _epochs(left, epochs[-1])
    _epochs(right, epochs[-1])
    left.set(ylabel="cross entropy of the label (nats)", ylim=(0, None))
    right.set(ylabel="share that is right", ylim=(-0.02, 1.02))
    _suite_legend(figure)
    return figure


@themed
def learned(records: Records, *, name: str = "") -> "Figure":
    """Draw the share of every suite that has been learnt for good by each epoch (first seed)."""
    rights = by_suite(records, "right")
    figure = new_figure(
        8.2, 4.4, heading("cumulative share learnt", name),
        "Learnt: right from this epoch to the end. First seed; what is wrong at the end is never learnt.",
    )  # fmt: skip
    axes = figure.add_subplot()
    for suite, right in rights.items():
        epochs = np.arange(1, right.shape[2] + 1)
        since = epoch_learned(right[:, 0])
        share = [np.mean((since > 0) & (since <= epoch)) for epoch in epochs]
        axes.plot(epochs, share, label=readable(suite), **_line_style(suite))
    _epochs(axes, epochs[-1])
    axes.set(ylabel="share learnt", ylim=(-0.02, 1.02))
    _suite_legend(figure)
    return figure


@themed
def probe_losses(records: Records, *, name: str = "") -> "Figure":
    """Draw boxes of the losses of every suite per epoch, and beside them violins with points of the mean loss."""
    losses = {suite: loss[:, 0] for suite, loss in by_suite(records, "loss").items()}
    figure, panels = _panels(
        len(losses) + 1, heading("losses of probes, epoch by epoch", name),
        "First seed. Boxes: middle half and median, whiskers to 1.5 times its height. Last panel: the mean loss over "
        "all epochs, a point a probe.",
    )  # fmt: skip
    for axes, (suite, loss) in zip(panels, losses.items(), strict=False):
        epochs = np.unique(np.linspace(0, loss.shape[1] - 1, min(MOST_BOXES, loss.shape[1])).round().astype(int))
        boxes = axes.boxplot(
            [loss[:, epoch] for epoch in epochs], positions=range(len(epochs)), widths=0.62, showfliers=False,
            patch_artist=True, medianprops={"color": DARK, "linewidth": 1.4}, whiskerprops={"color": GREY},
            capprops={"color": GREY},
        )  # fmt: skip
        for box in boxes["boxes"]:
            box.set(facecolor=SUITES[suite], alpha=0.55, edgecolor=SUITES[suite])
        axes.set_xticks(range(len(epochs)), [str(epoch + 1) for epoch in epochs])
        axes.set_title(f"{readable(suite)} ({len(loss):,})")
        axes.set(xlabel="epoch", ylim=(0, None))
    panels[0].set_ylabel("loss (nats)")
    _violins(panels[len(losses)], {suite: loss.mean(axis=1) for suite, loss in losses.items()})
    return figure


@themed
def probe_trajectories(records: Records, *, name: str = "") -> "Figure":
    """Draw the loss of single probes of every suite over the epochs, the median on top."""
    losses = {suite: loss[:, 0] for suite, loss in by_suite(records, "loss").items()}
    figure, panels = _panels(
        len(losses), heading("raw trajectories", name),
        f"The loss of up to {MOST_LINES} examples of a kind after every epoch, first seed; the thick line is the "
        "median of all of them.",
        share_y=True,
    )  # fmt: skip
    top = max(float(np.percentile(loss, 98)) for loss in losses.values())
    for axes, (suite, loss) in zip(panels, losses.items(), strict=False):
        epochs = np.arange(1, loss.shape[1] + 1)
        shown = loss[np.linspace(0, len(loss) - 1, min(MOST_LINES, len(loss))).round().astype(int)]
        axes.plot(epochs, shown.T, color=SUITES[suite], alpha=0.22, linewidth=0.8)
        axes.plot(epochs, np.median(loss, axis=0), color=BLACK, linewidth=2.2)
        axes.set_title(f"{readable(suite)} ({len(loss):,})")
        _epochs(axes, epochs[-1])
        axes.set_ylim(0, top)
    panels[0].set_ylabel("loss (nats)")
    return figure


@themed
def probe_confusion(evaluation: Mapping[str, Any], *, name: str = "") -> "Figure":
    """Draw the confusion matrix of held-out probes, and the share of train rows that each category has.

    evaluation: as `archaeology.records.report` returns.
    """
    probes, train = evaluation["probes"], evaluation["train"]
    names = list(probes["confusion"])
    counts = np.array([[probes["confusion"][a][b] for b in names] for a in names])
    if not counts.sum():
        raise NotApplicable("no probe was held out")
    figure = new_figure(
        10.5, 1.9 + 0.62 * len(names), heading("categories of held-out probes", name),
        f"{probes['n']} probes that did not vote: {probes['accuracy']:.1%} are assigned to their own category "
        f"(guessing: {probes['chance']:.1%}). Right: what the {train['n']:,} train rows were assigned to.",
    )  # fmt: skip
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    left.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.55 else DARK
        left.text(column, row, f"{count}\n{shares[row, column]:.0%}", ha="center", va="center", color=colour, size=8.5)
    words = [readable(name).replace(" ", "\n") for name in names]
    left.set_xticks(range(len(names)), words)
    left.set_yticks(range(len(names)), [readable(name) for name in names])
    left.set(xlabel="assigned", ylabel="planted as")
    left.grid(False)
    assigned = np.array([train["categories"][name] for name in names]) / max(train["n"], 1)
    right.barh(np.arange(len(names)), assigned, color=[SUITES[name] for name in names], height=0.66)
    for place, share in enumerate(assigned):
        right.text(share + 0.015, place, f"{share:.1%}", va="center", size=8.5, color=GREY)
    right.set_yticks(range(len(names)), [readable(name) for name in names])
    right.set(xlabel="share of train rows", xlim=(0, min(1.15, float(assigned.max()) * 1.25 + 0.05)))
    right.invert_yaxis()
    right.grid(False, axis="y")
    return figure


@themed
def memorisation(typicality: "pd.DataFrame", probes: "pd.DataFrame", *, name: str = "") -> "Figure":
    """Draw the histogram of memorisation (1 less the typicality) of the train rows, and where the probes were taken.

    typicality: example_id, typicality; probes: as `plant` returns them.
    """
    if not len(typicality):
        raise NotApplicable("no suite needed scores of typicality")
    scores = 1 - typicality.set_index("example_id")["typicality"]
    figure = new_figure(
        8.2, 4.2, heading("memorisation of the train rows", name),
        "1 less the consistency score: how often a model that did not see the example fails to say its label. Marks: "
        "where the typical and the atypical probes were taken.",
    )  # fmt: skip
    axes = figure.add_subplot()
    axes.hist(scores, bins=40, color=LIGHT, label=f"train rows ({len(scores):,})")
    for suite in ("typical", "atypical"):
        own = scores.reindex(probes.loc[probes["suite"] == suite, "example_id"]).to_numpy()
        if len(own):
            label = f"{suite} probes: {own.min():.2f} to {own.max():.2f}"
            axes.vlines(own, 0, 0.1, SUITES[suite], linewidth=2, transform=axes.get_xaxis_transform(), label=label)
    axes.set(xlabel="memorisation", ylabel="train rows", yscale="log")
    axes.legend(loc="upper right")
    return figure


def _line_style(suite: str) -> dict[str, Any]:
    plain = suite in (TRAIN, "ordinary")
    return {"color": SUITES[suite], "linewidth": 1.8, "linestyle": "--" if plain else "-"}


def _epochs(axes: "Axes", last: int) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set(xlabel="epoch", xlim=(1, max(last, 1.001)))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))


def _suite_legend(figure: "Figure") -> None:
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=min(4, len(labels)))


def _panels(count: int, title: str, subtitle: str, *, share_y: bool = False) -> "tuple[Figure, np.ndarray]":
    across = min(4, count)
    down = -(-count // across)
    figure = new_figure(12.0, 1.1 + 2.5 * down, title, subtitle)
    panels = figure.subplots(down, across, squeeze=False, sharey=share_y).ravel()
    for axes in panels[count:]:
        axes.set_axis_off()
    return figure, panels


def _violins(axes: "Axes", values: Mapping[str, np.ndarray]) -> None:
    rng = np.random.default_rng(0)
    for place, (suite, value) in enumerate(values.items()):
        parts = axes.violinplot(value, positions=[place], showextrema=False, widths=0.9)
        for body in parts["bodies"]:  # type: ignore[attr-defined]
            body.set(facecolor=SUITES[suite], alpha=0.45)
        shown = value if len(value) <= MOST_LINES else rng.choice(value, MOST_LINES, replace=False)
        axes.plot(place + rng.uniform(-0.16, 0.16, len(shown)), shown, ".", color=SUITES[suite], markersize=3)
    axes.set_xticks(range(len(values)), [readable(suite) for suite in values], rotation=40, ha="right", size=7.5)
    axes.set_title("mean loss over the epochs")
    axes.set_ylim(0, None)
