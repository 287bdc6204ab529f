"""The operator that LSNet is built on: small-kernel aggregation."""

from lsnet.ops.ska import Backend, backend_refusal, ska
from lsnet.ops.ska_reference import ska_reference

__all__ = ["Backend", "backend_refusal", "ska", "ska_reference"]
