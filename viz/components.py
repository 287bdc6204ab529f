"""Many channels as three: principal components over the tokens of a picture."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def principal_components(maps: Array, count: int = 3) -> tuple[Array, Array]:
    """Scores of the tokens on the first principal components of their channel vectors, centred over the picture.

    Each component is turned so that its largest loading is positive, which makes colours repeatable.

    Args:
        maps: (C, h, w).
        count: how many components.

    Returns:
        Scores (h·w, count) float64, zero where the maps have no such component, and the share of the variance that
        each component explains, (count,), 0…1.
    """
    channels = len(maps)
    x = maps.reshape(channels, -1).T.astype(np.float64)  # (N, C)
    x -= x.mean(0)
    wide = channels > len(x)  # the smaller of the two Gram matrices has the same eigenvalues
    values, vectors = np.linalg.eigh(x @ x.T if wide else x.T @ x)
    scores, explained = np.zeros((len(x), count)), np.zeros(count)
    for i in range(min(count, len(values))):
        value, vector = values[-1 - i], vectors[:, -1 - i]
        if value <= 1e-9 * values[-1] or values[-1] <= 0:
            break
        loading = x.T @ vector / np.sqrt(value) if wide else vector  # (C,), of length one
        scores[:, i] = x @ loading * np.sign(loading[np.abs(loading).argmax()])
        explained[i] = value / np.square(x).sum()
    return scores, explained
