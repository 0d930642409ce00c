"""What an emulator keeps: JSON documents by collection and key, in one SQLite file that survives restarts."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Store:
    """Documents are plain dicts; a returned document is a copy, so call `put` to change what is kept.

    `path` None keeps everything in memory.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS documents (collection TEXT, key TEXT, body TEXT, "
            "PRIMARY KEY (collection, key)) WITHOUT ROWID"
        )

    def get(self, collection: str, key: str) -> dict[str, Any] | None:
        """Return the document, or None."""
        with self._lock:
            row = self._connection.execute(
                "SELECT body FROM documents WHERE collection = ? AND key = ?", (collection, key)
            ).fetchone()
        return json.loads(row[0]) if row else None

    def put(self, collection: str, key: str, document: dict[str, Any]) -> None:
        """Keep the document, replacing what was there."""
        with self._lock:
            self._connection.execute(
                "INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", (collection, key, json.dumps(document))
            )

    def put_many(self, collection: str, documents: dict[str, dict[str, Any]]) -> None:
        """Keep many documents in one transaction."""
        rows = [(collection, key, json.dumps(document)) for key, document in documents.items()]
        with self._lock:
            self._connection.execute("BEGIN")
            self._connection.executemany("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", rows)
            self._connection.execute("COMMIT")

    def delete(self, collection: str, key: str) -> None:
        """Forget the document, if it is there."""
        with self._lock:
            self._connection.execute(
                "DELETE FROM documents WHERE collection = ? AND key = ?", (collection, key)
            )

    def items(self, collection: str, prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield (key, document) in the order of keys, of those keys that start with the prefix."""
        with self._lock:
            rows = self._connection.execute(
                # A range, so that the primary key's index serves it.
                "SELECT key, body FROM documents WHERE collection = ? AND key >= ? AND key < ? ORDER BY key",
                (collection, prefix, prefix + chr(0x10FFFF)),
            ).fetchall()
        for key, body in rows:
            yield key, json.loads(body)

    def next_number(self, name: str) -> int:
        """Return 1, 2, 3 … for that name; survives restarts."""
        with self._lock:
            number = int((self.get("numbers", name) or {"last": 0})["last"]) + 1
            self.put("numbers", name, {"last": number})
        return number

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._connection.execute("DELETE FROM documents")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
