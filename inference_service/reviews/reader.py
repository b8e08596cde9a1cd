"""Who reads, as marks and readings name a person."""

from __future__ import annotations

from tamsoat.inference_service.consultations.access import reader_id as reader_of

__all__ = ["reader_of"]
