"""Kernels over many pictures: prototypes, nearest pixels, how dynamic each block is."""

from collections.abc import Iterator, Sequence

import numpy as np

from viz.analysis.atlas import kernel_atlas
from viz.examples import examples
from viz.figures.atlas import draw_atlas
from viz.images import load_picture
from viz.results import Result
from viz.results.atlas import Dynamics, Neighbours, Prototypes
from viz.subject import Subject
from viz.texts import Texts
from viz.views.settings import Choice, Number, Values
from viz.views.view import View


def _kernel_sets(subject: Subject, say: Texts) -> Sequence[tuple[str, str]]:
    """The majority or one kernel set, as Python would write it: so it stands in the lines a visitor takes home."""
    kernels = subject.block_trace.kernels
    sets = 0 if kernels is None else len(kernels)
    return [(say("atlas.majority"), "None"), *((say("atlas.set", set=g), str(g)) for g in range(sets))]


def _analyse(subject: Subject, values: Values) -> Iterator[Result]:
    kernel_set = str(values["kernel_set"])
    return kernel_atlas(
        subject.predictor,
        subject.picture,
        subject.trace,
        subject.block,
        subject.token,
        [load_picture(example.path) for example in examples()],
        show=values["show"],  # type: ignore[arg-type]
        prototypes=int(values["prototypes"]),  # type: ignore[arg-type]
        kernel_set=None if kernel_set == "None" else int(kernel_set),
        progress=subject.progress,
    )


def _tell(result: Result, say: Texts) -> str:
    if isinstance(result, Prototypes):
        closeness = float((result.closeness * result.shares).sum())
        return say(
            "atlas.tell.prototypes",
            count=len(result.kernels),
            kernels=f"{result.kernel_count:,}",
            pictures=result.pictures,
            closeness=f"{closeness:.2f}",
        )
    if isinstance(result, Neighbours):
        if not len(result.elsewhere.scores):
            return ""
        return say(
            "atlas.tell.neighbours",
            pictures=result.pictures,
            cosine=f"{result.elsewhere.scores[0]:.3f}",
            median=f"{np.median(result.similarity):.3f}",
        )
    assert isinstance(result, Dynamics)
    chosen = result.blocks.index(result.place.block)
    return say(
        "atlas.tell.dynamics",
        block=result.place.block,
        one=f"{result.one_picture[chosen].mean():.0%}",
        every=f"{result.all_pictures[chosen].mean():.0%}",
        pictures=result.pictures,
    )


VIEW = View(
    name="atlas",
    kinds=("ls", "dynamic"),
    analyse=_analyse,
    draw=draw_atlas,
    code=(
        "[*kernel_atlas(predictor, picture, trace, block, token, photos,"
        " show={show!r}, prototypes={prototypes!r}, kernel_set={kernel_set})][-1]"
    ),
    imports=(
        "from viz.analysis.atlas import kernel_atlas\n"
        "from viz.examples import examples\n\n"
        "photos = [load_picture(example.path) for example in examples()]"
    ),
    settings=(
        Choice("show", ("prototypes", "neighbours", "dynamics")),
        Number("prototypes", 2, 16, 8, when={"show": ("prototypes",)}),
        Choice("kernel_set", _kernel_sets, when={"show": ("prototypes",)}),
    ),
    tell=_tell,
)
