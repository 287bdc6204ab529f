"""The kernel atlas against loops, hand-made clusters and a painted picture."""

import math
from io import BytesIO
from itertools import combinations

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from PIL import Image

import lsnet
from viz import theme
from viz.analysis.atlas import kernel_atlas
from viz.analysis.clusters import SEED, cluster, kinds, nearest, unit
from viz.analysis.kernels import kernels_at
from viz.analysis.patches import APART, best_apart, window_image
from viz.capture import trace_image
from viz.figures.atlas import draw_atlas
from viz.progress import Cancelled
from viz.results.atlas import Dynamics, Neighbours, Prototypes
from viz.texts import LANGUAGES, texts_in
from viz.trace import ForwardTrace

BLOCK = "blocks1.1"  # 12 × 12 tokens of 8 pixels at 96 pixels


@pytest.fixture(scope="module")
def others(photo: Image.Image) -> list[Image.Image]:
    return [photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT), photo.crop((100, 50, 260, 210))]


def atlas(predictor, photo, trace, others, **options):  # type: ignore[no-untyped-def]
    """The complete result."""
    *_, complete = kernel_atlas(predictor, photo, trace, BLOCK, (4, 5), others, **options)
    return complete


def traces(predictor: lsnet.Predictor, trace: ForwardTrace, others: list[Image.Image]) -> list[ForwardTrace]:
    return [trace, *(trace_image(predictor, picture) for picture in others)]


def test_kinds_separates_clusters_made_by_hand() -> None:
    """Four directions of very different frequency, with little noise: each becomes a kind, the most frequent first."""
    random = np.random.default_rng(3)
    directions = np.eye(9)[[0, 4, 8, 2]] * np.array([1, -1, 1, 1])[:, None]
    truth = np.repeat(np.arange(4), (400, 200, 90, 10))
    vectors = unit(directions[truth] + random.normal(0, 0.02, (700, 9)))
    means, labels = kinds(vectors, 4)
    np.testing.assert_array_equal(labels, truth)
    for kind in range(4):
        np.testing.assert_allclose(means[kind], vectors[truth == kind].mean(0), atol=1e-9)
    distances = [[math.dist(vector, mean) for mean in means] for vector in vectors]
    np.testing.assert_array_equal(labels, np.argmin(distances, axis=1))


def test_clusters_are_better_than_those_of_moved_means() -> None:
    """A mean is the best centre of its cluster: no small move of any of them lowers the squared distances."""
    random = np.random.default_rng(1)
    vectors = unit(random.normal(size=(500, 9)))
    means = cluster(vectors, 5)

    def cost(centres: np.ndarray) -> float:
        return float(np.square(vectors - centres[nearest(vectors, means)]).sum())

    assert all(cost(means + random.normal(0, 0.05, means.shape)) > cost(means) for _ in range(20))
    np.testing.assert_array_equal(means, cluster(vectors, 5))


def test_fewer_different_vectors_are_fewer_kinds() -> None:
    means, labels = kinds(unit(np.array([[1.0, 0], [0, 2], [3, 0], [4, 0]])), 8)
    assert means.tolist() == [[1, 0], [0, 1]]
    assert labels.tolist() == [0, 1, 0, 0]
    means, labels = kinds(unit(np.zeros((5, 9))), 3)
    assert means.tolist() == [[0] * 9]
    assert labels.tolist() == [0] * 5


def test_of_many_vectors_some_are_fitted_and_all_assigned() -> None:
    vectors = unit(np.random.default_rng(SEED).normal(size=(20_500, 4)))
    means, labels = kinds(vectors, 3)
    assert len(labels) == len(vectors)
    np.testing.assert_array_equal(labels, np.square(vectors[:, None] - means).sum(2).argmin(1))


@pytest.mark.parametrize("seed", range(5))
def test_best_apart_against_a_loop(seed: int) -> None:
    random = np.random.default_rng(seed)
    scores = [random.integers(0, 6, shape).astype(float) for shape in ((5, 7), (4, 4))]  # many equal scores
    scores[0][0] = -np.inf
    taken = [(0, 2, 2)]
    expected: list[tuple[int, int, int]] = []
    left = [(-grid[r, c], i, r, c) for i, grid in enumerate(scores) for r, c in np.ndindex(grid.shape)]
    for score, i, r, c in sorted(left):
        near = [p for p in taken + expected if p[0] == i and abs(p[1] - r) < APART and abs(p[2] - c) < APART]
        if not near and score < np.inf and len(expected) < 4:
            expected.append((i, r, c))
    assert best_apart(scores, 4, taken) == expected
    assert best_apart([], 4) == []


def test_a_patch_comes_from_its_token() -> None:
    """A red cell at token (2, 5): the patch around it is red in the middle, one around its neighbour beside that."""
    view = Image.new("RGB", (96, 64), "blue")
    view.paste("red", (5 * 8, 2 * 8, 6 * 8, 3 * 8))

    def patch(row: int, column: int) -> np.ndarray:
        with Image.open(BytesIO(window_image(view, row, column, stride=8, window=3))) as image:
            return np.asarray(image.convert("RGBA").resize((3, 3), Image.Resampling.BOX)).astype(int)

    def red(cells: np.ndarray) -> list[list[int]]:
        return np.argwhere(cells[..., 0] > cells[..., 2] + 60).tolist()

    assert red(patch(2, 5)) == [[1, 1]]
    assert red(patch(2, 4)) == [[1, 2]]
    assert red(patch(3, 6)) == [[0, 0]]
    corner = patch(0, 0)
    assert (corner[0, :, 3] < 80).all()  # above the picture
    assert (corner[:, 0, 3] < 80).all()  # left of it
    assert (corner[1:, 1:, 3] > 240).all()


def test_prototypes_against_loops(predictor, photo, trace, others) -> None:  # type: ignore[no-untyped-def]
    result = atlas(predictor, photo, trace, others, prototypes=5)
    assert isinstance(result, Prototypes)
    prototypes = result.kernels.reshape(-1, 9).astype(np.float64)
    labels, cosines = [], []  # (G, h, w) of each picture
    for one in traces(predictor, trace, others):
        kernels = one.blocks[BLOCK].kernels.double().movedim(1, -1).numpy()  # (G, h, w, 9)
        kernels = kernels / np.linalg.norm(kernels, axis=-1, keepdims=True)
        labels.append(np.square(kernels[..., None, :] - prototypes).sum(-1).argmin(-1))
        cosines.append((kernels @ prototypes.T / np.linalg.norm(prototypes, axis=1)).astype(np.float64))
    everything = np.concatenate([label.ravel() for label in labels])
    assert result.kernel_count == len(everything)
    assert result.pictures == 3
    assert result.shares.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(result.shares, np.bincount(everything) / len(everything), atol=1e-6)
    assert (np.diff(result.shares) <= 0).all()
    for row, column in np.ndindex(result.assigned.shape):
        votes = np.bincount(labels[0][:, row, column], minlength=5)
        assert result.assigned[row, column] == votes.argmax()
        assert result.agreement[row, column] == pytest.approx(votes.max() / votes.sum())
    for p, users in enumerate(result.users):
        use = [np.where(label == p, cosine[..., p], 0).mean(0) for label, cosine in zip(labels, cosines, strict=True)]
        np.testing.assert_allclose(
            users.scores, [use[i][r, c] for i, r, c in users.places.tolist()], rtol=1e-4, atol=1e-6
        )
        assert users.scores[0] == pytest.approx(max(u.max() for u in use), rel=1e-4)
        mine = np.concatenate([c[label == p][:, p] for label, c in zip(labels, cosines, strict=True)])
        assert result.closeness[p] == pytest.approx(mine.mean(), rel=1e-4)


def test_the_picture_may_be_coloured_by_one_kernel_set(predictor, photo, trace, others) -> None:  # type: ignore[no-untyped-def]
    result = atlas(predictor, photo, trace, others, kernel_set=2)
    assert isinstance(result, Prototypes)
    kernels = trace.blocks[BLOCK].kernels[2].flatten(1).T.double()
    distances = torch.cdist(
        torch.nn.functional.normalize(kernels), torch.from_numpy(result.kernels).double().flatten(1)
    )
    np.testing.assert_array_equal(result.assigned.ravel(), distances.argmin(1).numpy())
    assert (result.agreement == 1).all()
    with pytest.raises(ValueError, match="kernel set of 0 to 5, got 6"):
        atlas(predictor, photo, trace, others, kernel_set=6)


def test_neighbours_against_a_loop(predictor, photo, trace, others) -> None:  # type: ignore[no-untyped-def]
    result = atlas(predictor, photo, trace, others, show="neighbours")
    assert isinstance(result, Neighbours)
    kernels = [one.blocks[BLOCK].kernels.double().flatten(0, 1) for one in traces(predictor, trace, others)]
    query = kernels[0][:, 4, 5]

    def cosine(i: int, row: int, column: int) -> float:
        other = kernels[i][:, row, column]
        return (query @ other / query.norm() / other.norm()).item()

    for place in np.ndindex(result.similarity.shape):
        assert result.similarity[place] == pytest.approx(cosine(0, *place), abs=1e-5)
    assert result.similarity[4, 5] == pytest.approx(1)

    def apart(one: tuple[int, int, int], other: tuple[int, int, int]) -> bool:
        return one[0] != other[0] or max(abs(one[1] - other[1]), abs(one[2] - other[2])) >= 3

    for found, pictures in ((result.here, [0]), (result.elsewhere, [1, 2])):
        near = [(0, 4, 5)]
        tokens = [(i, r, c) for i in pictures for r, c in np.ndindex(*kernels[i].shape[1:])]
        for picture, row, column in found.places.tolist():
            free = [
                t for t in tokens if all(p[0] != t[0] or max(abs(p[1] - t[1]), abs(p[2] - t[2])) >= 3 for p in near)
            ]
            assert cosine(picture, row, column) == pytest.approx(max(cosine(*token) for token in free), abs=1e-6)
            near.append((picture, row, column))
        np.testing.assert_allclose(found.scores, [cosine(*place) for place in found.places.tolist()], atol=1e-5)
        assert len(found.images) == len(found.scores)


def test_dynamics_is_what_the_kernels_view_says(predictor, photo, trace, others) -> None:  # type: ignore[no-untyped-def]
    result = atlas(predictor, photo, trace, others, show="dynamics")
    assert isinstance(result, Dynamics)
    assert result.blocks == ("blocks1.1", "blocks2.3", "blocks3.3", "blocks3.5")
    for i, block in enumerate(result.blocks):
        np.testing.assert_allclose(result.one_picture[i], kernels_at(trace, block, (0, 0)).static_share, rtol=1e-5)
        every = torch.cat([t.blocks[block].kernels.flatten(2) for t in traces(predictor, trace, others)], 2).double()
        error = (every - every.mean(2, keepdim=True)).square().sum((1, 2))  # of the best kernel for all pictures
        np.testing.assert_allclose(result.all_pictures[i], 1 - error / every.square().sum((1, 2)), rtol=1e-4)


def test_results_get_more_complete_and_the_own_picture_counts_once(predictor, photo, trace, others) -> None:  # type: ignore[no-untyped-def]
    told: list[float] = []
    many = [*others, photo.copy(), photo.rotate(90), photo.rotate(180), photo.rotate(270)]
    results = list(kernel_atlas(predictor, photo, trace, BLOCK, (0, 0), many, progress=told.append))
    assert [result.pictures for result in results] == [1, 2, 4, 6]
    assert told == pytest.approx([share / 6 for share in range(1, 7)])
    alone = list(kernel_atlas(predictor, photo, trace, BLOCK, (0, 0), []))
    assert [result.pictures for result in alone] == [1]


def test_who_no_longer_waits_stops_it(predictor, photo, trace, others) -> None:  # type: ignore[no-untyped-def]
    def stop(share: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        list(kernel_atlas(predictor, photo, trace, BLOCK, (0, 0), others, progress=stop))
    assert not [m for m in predictor.model.modules() if m._forward_hooks or m._forward_pre_hooks]


@pytest.mark.parametrize("show", ["prototypes", "neighbours", "dynamics"])
@pytest.mark.parametrize("kind", ["constant", "strip", "small"])
def test_pictures_with_little_to_see(tiny_predictor: lsnet.Predictor, kind: str, show: str) -> None:
    picture = {
        "constant": Image.new("RGB", (90, 90), "grey"),
        "strip": Image.effect_noise((2000, 33), 60).convert("RGB"),
        "small": Image.effect_noise((40, 40), 60).convert("RGB"),
    }[kind]
    predictor = tiny_predictor.framed(64, "whole")
    trace = trace_image(predictor, picture)
    block = "blocks3.5" if kind == "small" else BLOCK
    (result,) = kernel_atlas(predictor, picture, trace, block, (0, 0), [], show=show)  # type: ignore[arg-type]
    assert all(np.isfinite(array).all() for array in result.arrays().values())
    language = LANGUAGES[kind == "strip"]
    assert isinstance(draw_atlas(result, texts_in(language), True), go.Figure)


def test_a_block_without_kernels_is_told(predictor, photo, trace) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"block with recorded kernels, got 'blocks4\.3'"):
        next(kernel_atlas(predictor, photo, trace, "blocks4.3", (0, 0), []))
    with pytest.raises(ValueError, match="token in a grid"):
        next(kernel_atlas(predictor, photo, trace, BLOCK, (12, 0), []))


def test_the_picture_is_drawn_in_the_prototypes_colours(predictor, photo, trace, others) -> None:  # type: ignore[no-untyped-def]
    result = atlas(predictor, photo, trace, others, prototypes=4)
    figure = draw_atlas(result, texts_in("en"))
    coloured = next(t for t in figure.data if t.customdata is not None and isinstance(t, go.Heatmap))
    np.testing.assert_array_equal(np.asarray(coloured.z), result.assigned + 1)
    axis = figure.layout.coloraxis
    steps = [(axis.cmin + edge * (axis.cmax - axis.cmin), colour) for edge, colour in axis.colorscale]
    assert steps == [(p + side, theme.QUALITATIVE[p]) for p in range(4) for side in (0.5, 1.5)]
    wall = next(t for t in figure.data if isinstance(t, go.Heatmap) and t.zmin is not None)
    assert wall.zmax == -wall.zmin == np.abs(result.kernels).max()
    assert len(figure.layout.images) == 2 + sum(len(users.images) for users in result.users)


# Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of color vision deficiency", 2009,
# severity 1: protanopia, deuteranopia, tritanopia, on linear RGB.
VISIONS = np.array(
    [
        np.eye(3),
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    ]
)
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colour: str, vision: np.ndarray) -> np.ndarray:
    encoded = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    t = TO_XYZ @ np.clip(vision @ linear, 0, 1) / (0.9505, 1, 1.089)
    f = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize(("count", "apart"), [(8, 19), (16, 10)])
def test_kinds_are_told_apart_with_every_colour_vision(count: int, apart: float) -> None:
    for vision in VISIONS:
        for one, other in combinations(theme.QUALITATIVE[:count], 2):
            assert math.dist(lab(one, vision), lab(other, vision)) >= apart
