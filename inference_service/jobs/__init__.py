"""Durable work on DBOS: workers, queues, takeover."""
