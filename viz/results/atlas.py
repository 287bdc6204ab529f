"""Kernels of one block over many pictures: their kinds, where they come again, and how much they move."""

from dataclasses import dataclass

import numpy as np

from viz.results.place import Array, Result


@dataclass(frozen=True)
class Patches:
    """Tokens of several pictures, and what the network saw around each.

    Attributes:
        places: (n, 3) integers: which picture (0 is the visitor's own), row, column.
        scores: (n,): what each was chosen for; the highest first.
        images: n WebP files: the token's perception window, grey where it leaves the picture.
    """

    places: np.ndarray
    scores: Array
    images: tuple[bytes, ...]


@dataclass(frozen=True)
class Prototypes(Result):
    """The kernels of a block, sorted into a few kinds.

    Attributes:
        kernels: (P, K, K), the centre of each kind, in a space where every kernel has length one; the most frequent
            first.
        shares: (P,), of all kernels; they sum to one.
        closeness: (P,), mean cosine of a kind's kernels with their prototype.
        assigned: (h, w) integers, the prototype of each token of the visitor's picture: that of the chosen kernel
            set, or the one that most sets use.
        agreement: (h, w), share of the token's kernel sets that use that prototype; 1 where a set is chosen.
        kernel_set: the chosen kernel set, or None for all.
        users: for each prototype, the tokens that use it most; scores are the cosines with the prototype, summed over
            the sets that use it and divided by the number of sets.
        window: side of the patches in tokens.
        pictures: how many pictures the kernels are from.
        kernel_count: how many kernels.
        extent: (height, width) of the network's input in tokens.
        photo: the part of the visitor's picture that the network saw, as a JPEG file.
    """

    kernels: Array
    shares: Array
    closeness: Array
    assigned: np.ndarray
    agreement: Array
    kernel_set: int | None
    users: tuple[Patches, ...]
    window: int
    pictures: int
    kernel_count: int
    extent: tuple[float, float]
    photo: bytes

    def arrays(self) -> dict[str, np.ndarray]:
        """The numbers by name; those of prototype p's users as ``users_<p>/places`` and ``users_<p>/scores``."""
        return super().arrays() | {
            f"users_{p}/{name}": getattr(patches, name)
            for p, patches in enumerate(self.users)
            for name in ("places", "scores")
        }


@dataclass(frozen=True)
class Neighbours(Result):
    """Where one token's kernels come again.

    Attributes:
        similarity: (h, w), cosine of all kernels of each token of the visitor's picture with those of the token.
        patch: the token's own perception window, a WebP file.
        here: the most similar tokens of the visitor's picture; scores are cosines.
        elsewhere: those of the other pictures.
        window: side of the patches in tokens.
        pictures: how many pictures were searched, the visitor's included.
        extent, photo: as for :class:`Prototypes`.
    """

    similarity: Array
    patch: bytes
    here: Patches
    elsewhere: Patches
    window: int
    pictures: int
    extent: tuple[float, float]
    photo: bytes

    def arrays(self) -> dict[str, np.ndarray]:
        """The numbers by name, such as ``here/places``."""
        return super().arrays() | {
            f"{name}/{what}": getattr(patches, what)
            for name, patches in (("here", self.here), ("elsewhere", self.elsewhere))
            for what in ("places", "scores")
        }


@dataclass(frozen=True)
class Dynamics(Result):
    """How much of the kernels one static kernel for each kernel set accounts for.

    Attributes:
        blocks: names of all LS blocks.
        one_picture: for each block, share of each set's sum of squares that its mean over the visitor's picture
            accounts for, (G,), 0…1.
        all_pictures: the same for the mean over all pictures, and the kernels of all pictures.
        pictures: how many pictures.
    """

    blocks: tuple[str, ...]
    one_picture: tuple[Array, ...]
    all_pictures: tuple[Array, ...]
    pictures: int

    def arrays(self) -> dict[str, np.ndarray]:
        """The numbers by name, such as ``blocks2.3/one_picture``."""
        named = zip(self.blocks, self.one_picture, self.all_pictures, strict=True)
        return {
            f"{block}/{name}": shares
            for block, one, every in named
            for name, shares in (("one_picture", one), ("all_pictures", every))
        }
