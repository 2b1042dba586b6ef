"""The only package that touches a database: SQLAlchemy Core tables and statements, one module per noun."""

from headrace.storage.engine import open_store

__all__ = ["open_store"]
