"""The views, in the order of their tabs."""

from viz.views import attention, cost, kernels, large_field, surgery
from viz.views.view import View

VIEWS: tuple[View, ...] = (kernels.VIEW, large_field.VIEW, attention.VIEW, surgery.VIEW, cost.VIEW)
