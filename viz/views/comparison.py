"""One token through an LS convolution, a static convolution and self-attention."""

from viz.analysis.comparison import compare_mixers
from viz.figures.comparison import draw_comparison
from viz.results import Result
from viz.results.comparison import Accuracy, ComparedMixer, Comparison, Mixing
from viz.subject import Subject
from viz.texts import Texts
from viz.views.settings import Choice, Values
from viz.views.view import View

# Perception P and aggregation A of each mixer, as the paper writes them.
P_OF: dict[ComparedMixer, str] = {
    "ls": r"$w_i = \mathrm{PW}(\mathrm{DW}_{K_L}(\mathrm{PW}(x)))_i$ (7)",
    "static": r"$w$ (4)",
    "attention": r"$a_i = \mathrm{softmax}_j(q_i \cdot k_j / \sqrt{d})$ (2)",
    "small": r"$w_i = \mathrm{PW}(\mathrm{PW}(x))_i$",
    "none": "–",
}
A_OF: dict[ComparedMixer, str] = {
    "ls": r"$y_{ic} = \sum_{j \in K_S \times K_S} w_{ijg}\, x_{jc}$ (8)",
    "static": r"$y_{ic} = \sum_{j \in K_S \times K_S} w_{jc}\, x_{jc}$ (5)",
    "attention": r"$y_i = \sum_j a_{ij}\, v_j$ (3)",
    "small": r"$y_{ic} = \sum_{j \in K_S \times K_S} w_{ijg}\, x_{jc}$ (8)",
    "none": r"$y_i = x_i$",
}


def _analyse(subject: Subject, values: Values) -> Result:
    return compare_mixers(
        subject.predictor,
        subject.picture,
        subject.trace,
        subject.block,
        subject.token,
        among=values["among"],  # type: ignore[arg-type]
        load=subject.load,
        progress=subject.progress,
    )


def _tell(result: Comparison, say: Texts) -> str:
    parts = [_formal_table(result, say)]
    if result.static_share is not None and result.static_cosine is not None:
        share, cosine = f"{result.static_share:.0%}", f"{result.static_cosine:.2f}"
        parts.append(say("comparison.tell.static", block=result.place.block, share=share, cosine=cosine))
    else:
        parts += [_network_table(result, say), say("comparison.tell.time")]
        if not all(row.trained for row in result.rows):
            parts.append(say("comparison.tell.untrained"))
    names = [say(f"comparison.mixer.{mixer}") for mixer in result.left_out]
    parts += [say("comparison.tell.left_out", mixer=name) for name in names]
    return "\n\n".join(parts)


def _formal_table(result: Comparison, say: Texts) -> str:
    """Perception and aggregation of each mixer, with the numbers of this place."""
    heads = ("mixer", "perception", "aggregation", "perceived", "read", "weights", "macs")
    rows = [_formal_row(row, say) for row in result.rows]
    return f"{say('comparison.tell.form')}\n\n{_markdown([say(f'comparison.head.{head}') for head in heads], rows)}"


def _formal_row(row: Mixing, say: Texts) -> list[str]:
    static = row.mixer == "static" and row.network is None
    return [
        f"**{say(f'comparison.mixer.{row.mixer}')}** {say('comparison.mean') if static else row.place.block}",
        P_OF[row.mixer],
        A_OF[row.mixer],
        f"{row.perceives.sum():,} / {row.perceives.size:,}",
        f"{row.reads.sum():,} / {row.reads.size:,}",
        say("comparison.shared", count=f"{row.weight_count:,}") if row.mixer == "static" else f"{row.weight_count:,}",
        f"{row.macs:,}",
    ]


def _network_table(result: Comparison, say: Texts) -> str:
    """What was measured of each network."""
    heads = ("mixer", "network", "top", "accuracy", "parameters", "total", "time")
    rows = []
    for row in result.rows:
        network = row.network
        assert network is not None
        rows.append(
            [
                f"**{say(f'comparison.mixer.{row.mixer}')}**",
                say("comparison.trained" if row.trained else "comparison.untrained"),
                ", ".join(f"{say.of(name)} {probability:.1%}" for name, probability in network.top),
                "; ".join(_accuracy(one, say) for one in network.accuracy) or say("comparison.unmeasured"),
                f"{network.parameters:,}",
                f"{network.macs / 1e6:,.1f} M",
                f"{network.milliseconds:.1f} ms",
            ]
        )
    return _markdown([say(f"comparison.head.{head}") for head in heads], rows)


def _accuracy(one: Accuracy, say: Texts) -> str:
    key = "comparison.accuracy.one" if one.seeds == 1 else "comparison.accuracy.seeds"
    values = {"mean": f"{one.mean:.1%}", "low": f"{one.low:.1%}", "high": f"{one.high:.1%}"}
    return say(key, data=one.data, size=one.size, seeds=one.seeds, pictures=one.pictures, **values)


def _markdown(heads: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows))


VIEW = View(
    name="comparison",
    kinds=("ls",),
    analyse=_analyse,
    draw=draw_comparison,
    code="compare_mixers(predictor, picture, trace, block, token, among={among!r})",
    imports="from viz.analysis.comparison import compare_mixers",
    settings=(Choice("among", ("inside", "siblings")),),
    tell=_tell,
)
