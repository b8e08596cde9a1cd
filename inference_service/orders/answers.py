"""From rows of orders to what is answered."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from tamsoat.inference_service.orders import repository
from tamsoat.inference_service.orders.schemas import ClinicalContext, OrderOut, OrderSummary, SpecimenOut
from tamsoat.inference_service.orders.tables import Order, Specimen


def order(session: Session, row: Order) -> OrderOut:
    """One order with its context and specimens."""
    context = {name: getattr(row, name) for name in ClinicalContext.model_fields}
    return OrderOut.model_validate(
        {
            **{name: getattr(row, name) for name in OrderOut.model_fields if hasattr(row, name)},
            "order_id": row.id,
            "context": ClinicalContext.model_validate(context),
            "specimens": [_specimen(item) for item in repository.specimens_of(session, [row.id])],
        }
    )


def summaries(session: Session, rows: Sequence[Order]) -> list[OrderSummary]:
    """The lines of a list."""
    accessions: dict[str, list[str]] = {row.id: [] for row in rows}
    for item in repository.specimens_of(session, list(accessions)):
        accessions[item.order_id].append(item.accession)
    return [
        OrderSummary.model_validate(
            {
                **{name: getattr(row, name) for name in OrderSummary.model_fields if hasattr(row, name)},
                "order_id": row.id,
                "accessions": accessions[row.id],
            }
        )
        for row in rows
    ]


def _specimen(row: Specimen) -> SpecimenOut:
    values = {name: getattr(row, name) for name in SpecimenOut.model_fields if hasattr(row, name)}
    return SpecimenOut.model_validate({**values, "specimen_id": row.id})
