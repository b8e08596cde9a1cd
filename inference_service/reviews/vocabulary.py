"""What a reader may say of one cell."""

from __future__ import annotations

from enum import StrEnum

from tamsoat.datasets.categories import Category

CELL_CATEGORIES: tuple[Category, ...] = tuple(item for item in Category if item is not Category.UNSATISFACTORY)
"""What people call a cell; ``unsatisfactory`` is said of specimens only."""


class MarkKind(StrEnum):
    """What a mark says."""

    AGREE = "agree"
    REGRADE = "regrade"
    DISMISS = "dismiss"
    ADD = "add"


ON_FINDINGS = (MarkKind.AGREE, MarkKind.REGRADE, MarkKind.DISMISS)
WITH_CATEGORY = (MarkKind.REGRADE, MarkKind.ADD)
