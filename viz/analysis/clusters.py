"""Vectors sorted into a few kinds by direction."""

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans, kmeans2, vq  # type: ignore[import-untyped]

Vectors = NDArray[np.float64]

SEED = 0
STARTS = 4
FITTED = 20_000


def unit(vectors: NDArray[np.floating]) -> Vectors:
    """Vectors (N, D) scaled to length one, as float64; zero stays zero."""
    exact = vectors.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    return exact / np.where(lengths > 0, lengths, 1)


def cluster(vectors: Vectors, count: int) -> Vectors:
    """The means of ``count`` clusters of vectors (N, D), (P, D); the same for the same vectors.

    k-means with k-means++ seeding, from four seedings the one that ends closest to the vectors. Of more than 20,000
    vectors that many are drawn at random. P is below ``count`` where there are fewer different vectors (to 1e-6).

    Source: Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", 2007.
    """
    random = np.random.default_rng(SEED)
    if len(vectors) > FITTED:
        vectors = vectors[random.choice(len(vectors), FITTED, replace=False)]
    different = np.unique(vectors.round(6), axis=0)
    if len(different) <= count:
        return different
    best, least = different[:count], np.inf
    for _ in range(STARTS):
        seeds, _ = kmeans2(vectors, count, iter=1, minit="++", rng=random)
        means, distance = kmeans(vectors, seeds)
        if distance < least:
            best, least = means, distance
    return best


def nearest(vectors: Vectors, means: Vectors) -> NDArray[np.int64]:
    """Index of the nearest mean (P, D) for each of the vectors (N, D), (N,)."""
    labels, _ = vq(vectors, means)
    return labels.astype(np.int64)


def kinds(vectors: Vectors, count: int) -> tuple[Vectors, NDArray[np.int64]]:
    """Means of clusters, (P, D), the one nearest to most vectors first, and for each vector its nearest mean, (N,)."""
    means = cluster(vectors, count)
    labels = nearest(vectors, means)
    counts = np.bincount(labels, minlength=len(means))
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]  # a mean that is nearest to none is no kind
    rank = np.zeros(len(means), np.int64)
    rank[order] = np.arange(len(order))
    return means[order], rank[labels]
