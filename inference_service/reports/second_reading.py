"""Which readings somebody else has to read too, and when two readings agree.

The draw among the negatives is a keyed hash of the case's identifier: nobody chooses it, nobody without the key of
the installation foresees it, and it can be computed again at any time.
"""

from __future__ import annotations

from dataclasses import dataclass

from tamsoat.datasets.categories import SECOND_READING, STEP, Category
from tamsoat.inference_service.db.encryption import search_hash
from tamsoat.inference_service.reports.form import Form
from tamsoat.inference_service.reports.vocabulary import OTHER_MALIGNANT

DRAW_CONTEXT = "readings.draw"
MILLION = 1_000_000
GRAVE, AI_DISAGREES, DRAWN, AMENDED = "grave", "ai-disagreement", "drawn", "amendment"
"""Why: the result is grave, the AI says something far from it, chance, an amendment to or from a grave result."""


@dataclass(frozen=True)
class Rules:
    """How a facility wants it. ``negative_share`` 0..1; ``disagreement_steps`` on the scale of ``STEP``."""

    negative_share: float
    disagreement_steps: int


def draw_ppm(case_id: str) -> int:
    """The case's lot, 0 to 999,999; below the share in millionths it is drawn."""
    return int(search_hash(case_id, DRAW_CONTEXT)[:16], 16) * MILLION >> 64


def is_grave(form: Form) -> bool:
    """HSIL or worse, every glandular abnormality, every other malignancy."""
    return form.category() in SECOND_READING or OTHER_MALIGNANT in form.findings


def steps_apart(form: Form, ai_category: str | None) -> int | None:
    """How far reader and AI are apart; None where one of them says nothing that has a place on the scale.

    An unsatisfactory specimen stands with the negatives: one with abnormal cells is never unsatisfactory.
    """
    said = form.category()
    proposed = STEP.get(Category(ai_category)) if ai_category in set(Category) else None
    if said is Category.OTHER and OTHER_MALIGNANT in form.findings:
        step: int | None = STEP[Category.SCC]
    elif said in (Category.UNSATISFACTORY, Category.OTHER):
        step = STEP[Category.NILM]
    else:
        step = STEP.get(said) if said is not None else None
    return None if proposed is None or step is None else abs(step - proposed)


def known_reason(form: Form, ai_category: str | None, rules: Rules) -> str | None:
    """The rule that asks for a second reader as far as the form alone decides it: without the draw."""
    if is_grave(form):
        return GRAVE
    apart = steps_apart(form, ai_category)
    if apart is not None and apart >= max(1, rules.disagreement_steps):
        return AI_DISAGREES
    return None


def may_be_drawn(form: Form, ai_category: str | None, rules: Rules) -> bool:
    """Whether chance decides: a negative that no other rule sends to a second reader."""
    return form.category() is Category.NILM and known_reason(form, ai_category, rules) is None


def reason(form: Form, ai_category: str | None, rules: Rules, case_id: str) -> str | None:
    """The rule that asks for a second reader; None: nobody else has to read the case."""
    known = known_reason(form, ai_category, rules)
    drawn = may_be_drawn(form, ai_category, rules) and draw_ppm(case_id) < round(rules.negative_share * MILLION)
    return DRAWN if drawn else known


def agree(one: Form, other: Form) -> bool:
    """Whether two readings come to the same result: the same category of the specimen."""
    return one.category() == other.category()
