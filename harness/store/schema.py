"""The store's tables. One writer, the driver; each attempt is committed as it ends."""

from sqlalchemy import (
    JSON,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

#: Written into `meta` when a store is made; a store with a greater number is refused.
SCHEMA_VERSION = 1

metadata = MetaData()

meta = Table("harness_meta", metadata, Column("schema_version", Integer, nullable=False))

run = Table(
    "run",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("created", Float, nullable=False),
    Column("ended", Float),
    Column("status", String(16), nullable=False),  # running, complete, interrupted, failed
    Column("seed", Integer, nullable=False),
    Column("device", String(16), nullable=False),
    Column("plan", JSON, nullable=False),
    Column("options", JSON, nullable=False),
    Column("fingerprint", JSON, nullable=False),
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", String(48), primary_key=True),
    Column("run_id", String(32), ForeignKey("run.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("replaces", Integer, nullable=False),  # 0, or the n-th replacement of an infra attempt
    Column("suite", Text, nullable=False),
    Column("cell", Text, nullable=False),  # Cell.key
    Column("repeat", Integer, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("status", String(8), nullable=False),  # passed, failed, infra, censored
    Column("kind", String(24)),
    Column("phase", String(12)),
    Column("signature", Text),
    Column("message", Text),
    Column("failed_test", Text),
    Column("devices", JSON, nullable=False),
    Column("node", Text, nullable=False),
    Column("zygote", Text, nullable=False),
    Column("isolation", String(8), nullable=False),
    Column("started", Float, nullable=False),
    Column("wall_seconds", Float, nullable=False),
    Column("inside_seconds", Float, nullable=False),
    Column("graphs", String(12), nullable=False),
    Column("order_requested", String(16), nullable=False),
    Column("order_observed", String(16), nullable=False),
    Column("pool_bytes", Integer, nullable=False),
    Column("peak_bytes", Integer, nullable=False),
    Column("capture_seconds", Float, nullable=False),
    Column("trace", JSON, nullable=False),
    Column("replays", JSON, nullable=False),
    Column("notes", JSON, nullable=False),
    Column("folder", Text, nullable=False),
    Column("log_tails", JSON, nullable=False),
    Index("attempt_of_run", "run_id", "position"),
)

test_result = Table(
    "test_result",
    metadata,
    Column("attempt_id", String(48), ForeignKey("attempt.id"), primary_key=True),
    Column("test", Text, primary_key=True),
    Column("outcome", String(12), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("kind", String(24)),
    Column("phase", String(12)),
    Column("signature", Text),
    Column("message", Text),
    Column("reran", Integer, nullable=False),
    Column("recovered", Integer, nullable=False),
)
