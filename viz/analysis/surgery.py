"""What a network answers when the dynamic kernels of some blocks are replaced while it computes."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from lsnet.layers import Residual
from lsnet.mixers import MSA
from lsnet.predictor import Predictor
from lsnet.sites import mixer_at, sites_of
from lsnet.tools.metrics import wilson
from viz.analysis.change import change, change_map
from viz.analysis.copies import private_copy
from viz.analysis.operations import Surgery, attached
from viz.analysis.place import place_at
from viz.analysis.same_place import same_place
from viz.analysis.seen import seen_jpeg
from viz.analysis.surgery_plan import JOINTLY, OperationName, Sets, framed_alike, plan
from viz.capture import capture
from viz.examples import examples
from viz.images import load_picture
from viz.progress import Progress, silent
from viz.results import Array
from viz.results.surgery import SurgeryAgreement, SurgeryEffect
from viz.trace import BlockTrace, ForwardTrace

Where = Literal["block", "all"]


def kernel_surgery(
    predictor: Predictor,
    picture: Image.Image,
    trace: ForwardTrace,
    block: str,
    token: tuple[int, int],
    operation: OperationName = "mean",
    where: Where = "block",
    sets: Sets = "all",
    other: str = "coffee",
    bundled_photos: bool = False,
    progress: Progress = silent,
) -> Iterator[SurgeryEffect]:
    """Replace kernels in a live forward pass and compare with the untouched one.

    Args:
        predictor: the network, framing pictures as it did for the trace. It is copied, never altered.
        picture: upright RGB.
        trace: the untouched forward pass, with its kernels recorded.
        block: the chosen block. Where the operation does not fit its kind, the nearest block of a fitting kind is
            operated on.
        token: (row, column) in the grid of ``block``.
        operation, sets, other: see :func:`viz.analysis.surgery_plan.plan`.
        where: this block alone, or all blocks of its kind jointly.
        bundled_photos: whether to count agreement over all bundled photos; see :func:`agreement_over`.
        progress: told after each forward pass.

    Yields:
        The effect on the picture; where asked for, again with the counts after each photo.

    Raises:
        InputError: see :func:`viz.analysis.surgery_plan.plan`.
        ValueError: the block has no such token.
    """
    place_at(trace, block, token)
    rows = plan(predictor, picture, trace, block, token, operation, sets, other)
    photos = [framed_alike(load_picture(one.path), picture, predictor) for one in examples()] if bundled_photos else []
    part = 1 / (1 + len(photos))
    model = private_copy(predictor.model)

    def report(start: float, width: float) -> Progress:
        return lambda share: progress(start + width * share)

    effect = _effect(predictor, model, picture, trace, block, token, operation, where, rows, report(0, part))
    yield effect
    if photos:
        for agreement in agreement_over(predictor, photos, rows, progress=report(part, 1 - part)):
            yield replace(effect, agreement=agreement)


def agreement_over(
    predictor: Predictor,
    pictures: Sequence[Image.Image],
    rows: Mapping[str, Sequence[Surgery]],
    labels: Sequence[int] | None = None,
    progress: Progress = silent,
) -> Iterator[SurgeryAgreement]:
    """How often operated networks keep the untouched one's answer, picture by picture.

    Args:
        predictor: the network, with its framing. It is copied, never altered.
        pictures: upright RGB.
        rows: what to do, by name; :func:`viz.analysis.surgery_plan.plan` makes such rows.
        labels: the right class of each picture as an index into ``predictor.classes``, where known.
        progress: told after each forward pass.

    Yields:
        The counts after each picture.

    Raises:
        ValueError: there are not as many labels as pictures.
    """
    if labels is not None and len(labels) != len(pictures):
        raise ValueError(f"expected {len(pictures)} labels, got {len(labels)}")
    model = private_copy(predictor.model)
    kept, right = np.zeros(len(rows), int), np.zeros(1 + len(rows), int)
    for index, picture in enumerate(pictures):
        batch = predictor.batch(picture)
        answers: list[int] = []
        for surgeries in ((), *rows.values()):
            with torch.no_grad(), attached(model, surgeries):
                answers.append(int(model(batch)[0].argmax()))
            progress((index + len(answers) / len(right)) / len(pictures))
        kept += np.array(answers[1:]) == answers[0]
        if labels is not None:
            right += np.array(answers) == labels[index]
        yield SurgeryAgreement(
            rows=tuple(rows),
            pictures=index + 1,
            total=len(pictures),
            agreement=_shares(kept, index + 1),
            accuracy=_shares(right if labels is not None else right[:0], index + 1),
        )


def _effect(
    predictor: Predictor,
    model: nn.Module,
    picture: Image.Image,
    trace: ForwardTrace,
    block: str,
    token: tuple[int, int],
    operation: OperationName,
    where: Where,
    rows: Mapping[str, tuple[Surgery, ...]],
    progress: Progress,
) -> SurgeryEffect:
    target = _nearest(trace, block, rows)
    shown = JOINTLY if where == "all" else target.name
    batch = predictor.batch(picture)
    before, features = _run(model, batch, ())
    last = list(features)[-1]
    progress(1 / (1 + len(rows)))
    after, operated, changes = before, features, []
    for done, (name, surgeries) in enumerate(rows.items(), start=2):
        logits, changed = _run(model, batch, surgeries)
        if name == shown:
            after, operated = logits, changed
        kept = float(logits.argmax() == before.argmax())
        moved = (_divergence(before, logits), _top1_change(before, logits), change(changed[last], features[last]))
        changes.append((*moved, kept))
        progress(done / (1 + len(rows)))
    divergences, top1_changes, last_changes, kepts = np.array(changes, np.float32).T
    top = list(dict.fromkeys(i for answer in (before, after) for i in answer.argsort(descending=True)[:5].tolist()))
    return SurgeryEffect(
        place=place_at(
            trace, target.name, same_place(token, trace.block(block), trace.geometry, target, trace.geometry)
        ),
        operation=operation,
        asked=block,
        operated=tuple(surgery.block for surgery in rows[shown]),
        sets=_sets(model, trace, rows[target.name][0]),
        classes=tuple({"en": predictor.classes[i].en, "zh": predictor.classes[i].zh} for i in top),
        before=before.softmax(0)[top].float().numpy(),
        after=after.softmax(0)[top].float().numpy(),
        logits_before=before.float().numpy(),
        logits_after=after.float().numpy(),
        divergence=_divergence(before, after),
        top1_change=_top1_change(before, after),
        blocks=tuple(features),
        kinds=tuple(trace.block(name).kind for name in features),
        feature_change=np.array([change(operated[name], features[name]) for name in features], np.float32),
        block_map=change_map(operated[target.name], features[target.name]),
        last_map=change_map(operated[last], features[last]),
        block_extent=trace.extent(target.name),
        last_extent=trace.extent(last),
        photo=seen_jpeg(predictor, picture),
        rows=tuple(rows),
        row_divergence=divergences,
        row_top1_change=top1_changes,
        row_feature_change=last_changes,
        row_kept=kepts,
    )


def _run(model: nn.Module, batch: Tensor, surgeries: Sequence[Surgery]) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits (num_classes,), and the features (C, h, w) that each block puts out; float64 on the CPU."""
    taps = {f"{site.name}.features": site.name for site in sites_of(model)}
    with torch.no_grad(), attached(model, surgeries), capture(model, taps) as record:
        logits = model(batch)[0].double().cpu()
    return logits, {name: record[tap][0].double().cpu() for tap, name in taps.items()}


def _nearest(trace: ForwardTrace, block: str, rows: Mapping[str, Sequence[Surgery]]) -> BlockTrace:
    """The block itself, or the nearest one that is operated on in the order of computation, later ones first."""
    names = list(trace.blocks)
    here = names.index(block)
    fitting = [i for i, name in enumerate(names) if name in rows]
    return trace.block(names[min(fitting, key=lambda i: (abs(i - here), i < here))])


def _sets(model: nn.Module, trace: ForwardTrace, surgery: Surgery) -> tuple[int, int]:
    """How many kernel sets, or heads, are replaced, and how many there are."""
    kernels = trace.block(surgery.block).kernels
    if kernels is not None:
        count = len(kernels)
    else:  # attention may have been too large to be kept
        mixer = mixer_at(model, surgery.block)
        assert isinstance(mixer, Residual)
        assert isinstance(mixer.m, MSA)
        count = mixer.m.num_heads
    return count if surgery.sets is None else len(surgery.sets), count


def _divergence(before: Tensor, after: Tensor) -> float:
    """Kullback-Leibler divergence of ``softmax(after)`` from ``softmax(before)``, in bits."""
    p, q = before.log_softmax(0), after.log_softmax(0)
    return max((p.exp() * (p - q)).sum().item() / math.log(2), 0.0)  # rounding may fall below zero


def _top1_change(before: Tensor, after: Tensor) -> float:
    top = before.argmax()
    return (after[top] - before[top]).item()


def _shares(hits: np.ndarray, total: int) -> Array:
    """Share and ends of its 95 % Wilson interval for each count, (counts, 3)."""
    rates = [wilson(int(count), total) for count in hits]
    return np.array([(rate.value, rate.low, rate.high) for rate in rates], np.float32).reshape(-1, 3)
