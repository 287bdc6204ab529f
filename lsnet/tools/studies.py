"""``python -m lsnet.tools.studies shift | resolution``: do kernels follow the picture, and what else changes them?

``shift`` moves a window over a picture and compares kernels where both windows see the same thing. A network whose
stage samples every ``stride`` pixels can follow shifts by whole strides only; zero padding, and the group norm over the
window, disturb even those. It also mirrors the picture, and compares with kernels mirrored in place and in their taps.
A trained network owes nobody that symmetry: on a mirrored picture its channels may trade places.

``resolution`` compares kernels of centred crops with those of the whole window, whose group norms reach further; and
kernels of one picture at several sizes.

Both write a CSV with a row for every picture, LS block and setting, and the same as JSON beside it; the same command
goes on where it was stopped. ``viz.figures.studies`` draws it::

    rows = list(csv.DictReader(open("shift.csv")))
    draw_shift(rows, 16, texts_in("en")).write_html("shift.html")  # the blocks of stride 16
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm

from lsnet.errors import InputError
from lsnet.model import LSNet
from lsnet.predictor import Predictor, load_predictor
from lsnet.tools.command_line import run_tool
from lsnet.tools.data import PICTURE_SUFFIXES
from lsnet.tools.processes import Processes
from lsnet.tools.recorded_kernels import Kernels, kernels_of, perceptions
from lsnet.tools.results import KeptRows, origin, weights_digest
from lsnet.weights import BUNDLED_DIR, weights_label

SIZES = (128, 160, 192, 224, 256, 320, 384, 448)
EXAMPLES_DIR = BUNDLED_DIR.parent / "examples"


@dataclass(frozen=True)
class ShiftRow:
    """How well the kernels of a block followed a picture that moved.

    Attributes:
        block, stride: name, and pixels per token.
        axis: ``"x"`` or ``"y"`` for a window that moved right or down, ``"mirror"`` for a mirrored picture.
        shift: by how many pixels.
        phase: what is left of the shift after whole tokens, in pixels.
        tokens: how many were compared: those that both windows see.
        cosine: between the kernels of a token (all sets and taps) in both windows, mean over tokens.
        relative_error: size of the difference over size of the kernels in the resting window.
        unrelated_cosine, unrelated_error: the same of tokens half a window apart: kernels are alike everywhere, and
            only what exceeds this follows the picture.
    """

    block: str
    stride: int
    axis: str
    shift: int
    phase: int
    tokens: int
    cosine: float
    relative_error: float
    unrelated_cosine: float
    unrelated_error: float


@dataclass(frozen=True)
class ResolutionRow:
    """How the kernels of a block on part of a picture, or at another size, compare with those on the whole window.

    Attributes:
        block, stride: as for a shift.
        change: ``"crop"`` or ``"size"``.
        side: of the input in pixels.
        tokens: how many were compared.
        cosine, relative_error: as for a shift.
        same_norm_error: the relative error when this block's kernels are normalized by the mean and the variance of
            the whole window. Where it is smaller, this block's norm made the difference; what is left comes from
            borders, earlier blocks' norms and squeeze-and-excitation, and for ``"size"`` from the picture's scale.
        spread: standard deviation of raw kernels over that in the whole window, geometric mean over sets: the norm
            divides by it.
    """

    block: str
    stride: int
    change: str
    side: int
    tokens: int
    cosine: float
    relative_error: float
    same_norm_error: float
    spread: float


def agreement(kernels: Tensor, reference: Tensor) -> tuple[float, float]:
    """Mean cosine over tokens, and relative error, of kernels (G, K*K, h, w); 0 and 0 where all are zero."""
    cosine = F.cosine_similarity(kernels.flatten(0, 1), reference.flatten(0, 1), dim=0).mean().item()
    size = reference.norm().clamp(min=torch.finfo(reference.dtype).tiny)
    return cosine, ((kernels - reference).norm() / size).item()


def mirrored(kernels: Tensor) -> Tensor:
    """Kernels (G, K*K, h, w) as a network without a sense of left and right would have them on a mirrored picture."""
    side = round(kernels.shape[1] ** 0.5)
    return kernels.unflatten(1, (side, side)).flip(2, 4).flatten(1, 2)  # columns of taps and columns of tokens


def renormalized(raw: Tensor, whole: Tensor, norm: nn.GroupNorm) -> Tensor:
    """Raw kernels (G, K*K, h, w) with the mean and the variance of others, and with the norm's own scale and offset."""
    affine = [p.detach().float().cpu().view(*raw.shape[:2], 1, 1) for p in (norm.weight, norm.bias)]
    mean = whole.mean((1, 2, 3), keepdim=True)
    return (raw - mean) / _deviation(whole, norm) * affine[0] + affine[1]


def study_shifts(model: LSNet, picture: Tensor, size: int, shifts: Sequence[int]) -> Iterator[ShiftRow]:
    """Mirror a window of a picture, and move it.

    Where a shift is no multiple of the stride, tokens are compared with those nearest to where they came from.

    Args:
        model: with LS convolutions.
        picture: normalized, (3, H, W), larger than the window by the greatest shift.
        size: side of the window in pixels.
        shifts: in pixels, from 0.
    """
    still = picture[:, :size, :size]
    reference = {name: kernels.used for name, kernels in kernels_of(model, still).items()}
    unrelated = {name: agreement(_half_a_window_on(used), used) for name, used in reference.items()}
    strides = {name: stride for name, stride, _ in perceptions(model)}

    def row(block: str, axis: str, shift: int, ours: Tensor, theirs: Tensor) -> ShiftRow:
        stride, tokens = strides[block], ours[0, 0].numel()
        return ShiftRow(block, stride, axis, shift, shift % stride, tokens, *agreement(ours, theirs), *unrelated[block])

    for name, kernels in kernels_of(model, still.flip(-1)).items():
        yield row(name, "mirror", 0, kernels.used, mirrored(reference[name]))
    for axis, shift in product(("x", "y"), shifts):
        down, right = (0, shift) if axis == "x" else (shift, 0)
        for name, kernels in kernels_of(model, picture[:, down : down + size, right : right + size]).items():
            rows, columns = (int(step / strides[name] + 0.5) for step in (down, right))
            height, width = kernels.used.shape[2:]
            ours = kernels.used[..., : max(height - rows, 0), : max(width - columns, 0)]
            if ours.numel():
                yield row(name, axis, shift, ours, reference[name][..., rows:, columns:])


def study_crops(model: LSNet, picture: Tensor) -> Iterator[ResolutionRow]:
    """Kernels on centred crops beside those on the whole. Crops begin and end where tokens of every block do.

    Args:
        model: with LS convolutions.
        picture: normalized, (3, S, S).
    """
    size, whole = picture.shape[-1], kernels_of(model, picture)
    step = max(stride for _, stride, _ in perceptions(model))
    for cut in range(0, size // 2 - step // 2, step):
        crops = kernels_of(model, picture[:, cut : size - cut, cut : size - cut])
        for name, stride, perception in perceptions(model):
            ours, start = crops[name], cut // stride
            height, width = ours.used.shape[2:]
            there = whole[name].used[..., start : start + height, start : start + width]
            numbers = _compare(ours, whole[name].raw, there, perception.norm)
            yield ResolutionRow(name, stride, "crop", size - 2 * cut, *numbers)


def study_sizes(
    model: LSNet, at_size: Callable[[int], Tensor], size: int, sizes: Sequence[int]
) -> Iterator[ResolutionRow]:
    """Kernels at several sizes beside those at one. The finer of two grids is averaged over the coarser's tokens.

    Args:
        model: with LS convolutions.
        at_size: gives the same view of a picture, normalized, (3, s, s), at side s in pixels.
        size: the side that the others are compared with.
        sizes: the others.
    """
    whole = kernels_of(model, at_size(size))
    for side in sizes:
        resized = kernels_of(model, at_size(side))
        for name, stride, perception in perceptions(model):
            ours, theirs = resized[name], whole[name]
            height, width = (min(pair) for pair in zip(ours.used.shape[2:], theirs.used.shape[2:], strict=True))
            coarse = partial(F.adaptive_avg_pool2d, output_size=(height, width))
            numbers = _compare(ours, theirs.raw, coarse(theirs.used), perception.norm, coarse)
            yield ResolutionRow(name, stride, "size", side, *numbers)


def _compare(
    ours: Kernels,
    whole: Tensor,
    expected: Tensor,
    norm: nn.GroupNorm,
    place: Callable[[Tensor], Tensor] = lambda kernels: kernels,
) -> tuple[int, float, float, float, float]:
    """From ``tokens`` to ``spread`` of a :class:`ResolutionRow`; ``whole`` are raw kernels of the whole window."""
    cosine, error = agreement(place(ours.used), expected)
    _, same_norm_error = agreement(place(renormalized(ours.raw, whole, norm)), expected)
    spread = (_deviation(ours.raw, norm) / _deviation(whole, norm)).log().mean().exp().item()
    return expected[0, 0].numel(), cosine, error, same_norm_error, spread


def _deviation(raw: Tensor, norm: nn.GroupNorm) -> Tensor:
    """What the norm divides each set by, (G, 1, 1, 1)."""
    return (raw.var((1, 2, 3), correction=0, keepdim=True) + norm.eps).sqrt()


def _half_a_window_on(kernels: Tensor) -> Tensor:
    height, width = kernels.shape[2:]
    return kernels.roll((height // 2, width // 2), (2, 3))


def picture_files(paths: Sequence[Path]) -> list[Path]:
    """Pictures among files and folders.

    Raises:
        InputError: there is none.
    """
    found = [file for path in paths for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    pictures = [file for file in found if file.is_file() and file.suffix.lower() in PICTURE_SUFFIXES]
    if not pictures:
        names = ", ".join(path.name for path in paths)
        raise InputError("data.empty", f"expected pictures at {names}, found none", path=names)
    return pictures


def _middle(picture: Image.Image) -> Image.Image:
    """A picture up to twice as long as wide; of a longer one the middle, since a panorama is not seen at full size."""
    width, height = picture.size
    longest = 2 * min(width, height)
    left, top = max(width - longest, 0) // 2, max(height - longest, 0) // 2
    return picture.crop((left, top, width - left, height - top))


def shift_rows(predictor: Predictor, picture: Image.Image, shifts: Sequence[int]) -> Iterator[ShiftRow]:
    """:func:`study_shifts` of windows of the predictor's size, from the upper left of a picture just large enough."""
    size = predictor.preprocess.size
    larger = predictor.framed(size + max(shifts), "whole").preprocess(_middle(picture))
    return study_shifts(predictor.lsnet, larger, size, shifts)


def resolution_rows(predictor: Predictor, picture: Image.Image, sizes: Sequence[int]) -> Iterator[ResolutionRow]:
    """:func:`study_crops` and :func:`study_sizes` of what the predictor sees."""
    yield from study_crops(predictor.lsnet, predictor.preprocess(picture))
    size = predictor.preprocess.size
    yield from study_sizes(predictor.lsnet, lambda s: predictor.framed(s).preprocess(picture), size, sizes)


def main(argv: Sequence[str] | None = None) -> None:
    """Study the kernels of a network on pictures, and write a CSV."""
    parser = argparse.ArgumentParser("python -m lsnet.tools.studies", description=main.__doc__)
    parser.add_argument("study", choices=("shift", "resolution"))
    parser.add_argument("--weights", default="bundled", help="bundled, bundled/<name>, a model on the Hub, or a file")
    parser.add_argument("--pictures", type=Path, nargs="+", default=[EXAMPLES_DIR], help="files or folders of them")
    parser.add_argument("--size", type=int, help="input side in pixels; the weights' own by default")
    parser.add_argument("--shifts", type=int, nargs="+", help="pixels; 0 to twice the greatest stride by default")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="input sides to compare, in pixels")
    parser.add_argument("--output", type=Path, required=True, help="the CSV to write, with the same as JSON beside it")
    args = parser.parse_args(argv)
    predictor = load_predictor(args.weights).framed(args.size)
    longest = 2 * max(stride for _, stride, _ in perceptions(predictor.lsnet))
    shifts = args.shifts or range(0, longest + 1, 4)
    settings = {"shifts": list(shifts)} if args.study == "shift" else {"sizes": list(args.sizes)}
    subject = {"study": args.study, "weights": weights_digest(predictor.model), "size": predictor.preprocess.size}
    command = Processes(0, 1, predictor.device).command("lsnet.tools.studies", argv or sys.argv[1:])
    kept = KeptRows(args.output, subject | settings, origin(command))
    done = {row["picture"] for row in kept.rows}
    for path in tqdm(picture_files(args.pictures), args.study, unit="picture"):
        if path.name in done:
            continue
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        names = {"picture": path.name, "weights": weights_label(predictor.card)}
        rows: Iterator[ShiftRow | ResolutionRow] = (
            shift_rows(predictor, picture, shifts)
            if args.study == "shift"
            else resolution_rows(predictor, picture, args.sizes)
        )
        kept.add(names | asdict(row) for row in rows)


if __name__ == "__main__":
    run_tool(main)
