"""What schemathesis does not know by itself: the media type of the bytes of a tus upload."""

from __future__ import annotations

import schemathesis

schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
