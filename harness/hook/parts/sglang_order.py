"""`sglang-order:ascending`: turns the capture order of sglang alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..overlays.rows import SGLANG
from .order import OrderOverlay

if TYPE_CHECKING:
    from ..channel import Channel


def make_part(argument: str, channel: Channel) -> OrderOverlay:
    """Return the part. Raises ValueError for an order that does not exist."""
    return OrderOverlay(argument, channel, (SGLANG,))
