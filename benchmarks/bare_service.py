"""What the read benchmarks compare against: the least that FastAPI and SQLAlchemy need to answer the same.

    BARE_DATABASE_URL=… python benchmarks/bare_service.py PORT

No sign-in, no logs, no metrics, no limits, no security headers, no entity tags, no audit log. The same rows of the
same tables, the same pydantic response, the same web server.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from tamsoat.inference_service.screening.answers import AnalysisView
from tamsoat.inference_service.screening.tables import Analysis, Finding, Screening

ENGINE = create_engine(os.environ["BARE_DATABASE_URL"], pool_size=10, max_overflow=0)
app = FastAPI()


class Health(BaseModel):
    status: str = "ok"


def reading() -> Iterator[Session]:
    with Session(ENGINE) as session:
        yield session


@app.get("/healthz")
async def healthz() -> Health:
    return Health()


@app.get("/api/v1/analyses/{analysis_id}", response_model_exclude_unset=True)
def read_analysis(analysis_id: str, session: Annotated[Session, Depends(reading)]) -> AnalysisView:
    screening = session.scalar(select(Screening).where(Screening.id == analysis_id))
    analysis = session.scalar(select(Analysis).where(Analysis.id == analysis_id))
    if screening is None or analysis is None:
        raise HTTPException(404)
    query = select(Finding).where(Finding.analysis_number == analysis.number).order_by(Finding.rank)
    cells = [
        {
            "x_px": finding.x_px,
            "y_px": finding.y_px,
            "category": finding.category,
            "score": finding.score,
            "probabilities": dict(zip(analysis.categories, finding.probabilities, strict=True)),
        }
        for finding in session.scalars(query)
    ]
    return AnalysisView.model_validate(
        {
            "analysis_id": analysis.id,
            "state": screening.state,
            "image": f"sha256:{analysis.image_sha256}",
            "width_px": analysis.width_px,
            "height_px": analysis.height_px,
            "mpp": analysis.mpp,
            "model": {
                "name": analysis.model_name,
                "version": analysis.model_version,
                "digest": analysis.model_digest,
            },
            "quality": {"usable": analysis.usable, "reasons": analysis.reasons},
            "field": {
                "category": analysis.category,
                "abnormal_probability": analysis.abnormal_probability,
                "triage": analysis.triage,
            },
            "cells": cells,
            "seconds": analysis.seconds,
        }
    )


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False, server_header=False)
