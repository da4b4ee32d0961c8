"""The store's tables. One writer, the driver; each attempt is committed as it ends.

A column that a later version added has a server default: a migrated store is like a new one.
"""

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
SCHEMA_VERSION = 3

metadata = MetaData()

meta = Table("harness_meta", metadata, Column("schema_version", Integer, nullable=False))

run = Table(
    "run",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("created", Float, nullable=False),
    Column("ended", Float),
    Column("status", String(16), nullable=False),  # RunStatus
    Column("seed", Integer, nullable=False),
    Column("device", String(16), nullable=False),
    Column("plan", JSON, nullable=False),
    Column("options", JSON, nullable=False),
    Column("fingerprint", JSON, nullable=False),
    # Since version 2:
    Column("number", Integer, nullable=False, server_default="0"),  # runs in the order they began
    Column("ended_by", Text),  # why the run is not complete
    Column("driver", JSON),  # host and process of the driver that writes, or wrote last
    Column("parts", JSON, nullable=False, server_default="[]"),  # fingerprints of later parts
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
    Column("status", String(8), nullable=False),  # AttemptStatus
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
    # Since version 2:
    Column("launch", Integer, nullable=False, server_default="0"),  # n-th launch at this position
    Column("suite_started", Integer, nullable=False, server_default="1"),
    Column("warmup", Integer, nullable=False, server_default="0"),
    Column("part", Integer, nullable=False, server_default="0"),  # resumed on changed files: 1, 2
    # Since version 3:
    Column("audit", JSON, nullable=False, server_default="[]"),  # AuditFinding
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

#: The columns that each version added, by table.
ADDED: dict[int, dict[str, tuple[str, ...]]] = {
    2: {
        "run": ("number", "ended_by", "driver", "parts"),
        "attempt": ("launch", "suite_started", "warmup", "part"),
    },
    3: {"attempt": ("audit",)},
}


def list_columns(table: Table, version: int) -> set[str]:
    """Return the names of the columns that a table had in a version."""
    later = {
        name
        for number, tables in ADDED.items()
        if number > version
        for name in tables.get(table.name, ())
    }
    return {column.name for column in table.c} - later
