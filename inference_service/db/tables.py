"""Every table of the service, gathered for the migrations."""

from __future__ import annotations

from tamsoat.inference_service.accounts import client_tables
from tamsoat.inference_service.accounts import tables as account_tables
from tamsoat.inference_service.audit import tables as audit_tables
from tamsoat.inference_service.cases import tables as case_tables
from tamsoat.inference_service.consultations import tables as consultation_tables
from tamsoat.inference_service.db.base import Base
from tamsoat.inference_service.jobs import tables as job_tables
from tamsoat.inference_service.operations import tables as operation_tables
from tamsoat.inference_service.orders import tables as order_tables
from tamsoat.inference_service.patients import tables as patient_tables
from tamsoat.inference_service.reports import report_tables
from tamsoat.inference_service.reports import tables as reading_tables
from tamsoat.inference_service.reviews import tables as review_tables
from tamsoat.inference_service.screening import tables as screening_tables
from tamsoat.inference_service.transport import idempotency_tables
from tamsoat.inference_service.uploads import tables as upload_tables
from tamsoat.inference_service.webhooks import tables as webhook_tables

__all__ = [
    "account_tables",
    "audit_tables",
    "case_tables",
    "client_tables",
    "consultation_tables",
    "idempotency_tables",
    "job_tables",
    "metadata",
    "operation_tables",
    "order_tables",
    "patient_tables",
    "reading_tables",
    "report_tables",
    "review_tables",
    "screening_tables",
    "upload_tables",
    "webhook_tables",
]

metadata = Base.metadata
