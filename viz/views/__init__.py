"""The views, in the order of their tabs."""

from viz.views import atlas, attention, attribution, comparison, corruption, cost, kernels, large_field, surgery
from viz.views.view import View

VIEWS: tuple[View, ...] = (
    kernels.VIEW,
    large_field.VIEW,
    attention.VIEW,
    attribution.VIEW,
    surgery.VIEW,
    comparison.VIEW,
    atlas.VIEW,
    cost.VIEW,
    corruption.VIEW,
)
