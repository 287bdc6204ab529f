"""The views, in the order of their tabs."""

from viz.views import attention, context, kernels
from viz.views.view import View

VIEWS: tuple[View, ...] = (kernels.VIEW, context.VIEW, attention.VIEW)
