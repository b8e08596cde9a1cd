"""DBOS keeps every finished workflow; ours say nothing that the nouns' tables do not say, so they go after a while."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import structlog
from dbos import DBOS

KEPT_DAYS = 2
MOST_AT_ONCE = 1_000
EVERY_S = 600.0

log = structlog.get_logger("tamsoat.jobs")


def forget_finished() -> None:
    """Delete workflows that ended more than :data:`KEPT_DAYS` days ago. Several processes may do it at once."""
    before = (datetime.now(UTC) - timedelta(days=KEPT_DAYS)).isoformat()
    old = DBOS.list_workflows(completed_before=before, limit=MOST_AT_ONCE, load_input=False, load_output=False)
    if old:
        DBOS.delete_workflows([workflow.workflow_id for workflow in old])
        log.info("finished_workflows_deleted", count=len(old))
