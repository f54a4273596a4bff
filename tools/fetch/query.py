"""Writes the result of a SQL query as a CSV: for tools.fetch.

One text form for each value, so that the same rows give the same bytes wherever the command runs: missing is empty;
true and false; numbers with a point and no exponent of their own making (a whole float without .0); dates and times
ISO 8601, those with a zone in UTC; intervals in seconds; bytes in hexadecimal; arrays, records and JSON as JSON with
sorted keys. UTF-8, a header, commas, line feeds, quotes only where a field needs them.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import quote

from stages.runtime.forms import as_text
from stages.shared.errors import InputError
from stages.shared.progress import Progress
from stages.shared.table.source import Fetch

if TYPE_CHECKING:
    from sqlalchemy import URL, CursorResult, Engine

ROWS_AT_ONCE = 2_000  # in memory
SECONDS_TO_CONNECT = 20
SETTINGS = ("TimeZone = 'UTC'", "DateStyle = 'ISO'", "IntervalStyle = 'postgres'", "extra_float_digits = 1")
EXAMPLE = "postgresql://USER:PASSWORD@HOST/DATABASE"
QUOTED = r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | `[^`]*` | \$(\w*)\$.*?\$\1\$"""
COMMENT = r"--[^\n]* | /\*.*?\*/"
AFTER_ORDER_BY = r"\b(SELECT|FROM|WHERE|GROUP|HAVING|UNION|INTERSECT|EXCEPT)\b"


def bring_query(fetch: Fetch, file: Path) -> int:
    """Write what the query returns into `file`, compressed where its name ends in .gz; return the number of rows."""
    query = checked_query(fetch.query or "")
    url = connection_url(fetch.connection or "")
    from sqlalchemy import exc

    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            if url.get_backend_name() == "postgresql":
                for setting in SETTINGS:
                    connection.exec_driver_sql(f"SET LOCAL {setting}")
            # The cursor stays at the server, and % is no placeholder.
            options = {"stream_results": True, "yield_per": ROWS_AT_ONCE, "no_parameters": True}
            result = connection.execution_options(**options).exec_driver_sql(query)
            n_rows = write_csv(result, file)
    except exc.SQLAlchemyError as error:
        raise InputError(f"{place(url)}: {hide(said(error), url)}") from None
    finally:
        engine.dispose()
    if n_rows == 0:
        raise InputError(f"{place(url)}: the query of source.fetch returns no rows")
    return n_rows


def checked_query(query: str) -> str:
    """Return the query without a final semicolon. Raises InputError unless one statement ends in ORDER BY."""
    bare = re.sub(f"{COMMENT} | {QUOTED}", " ", query, flags=re.DOTALL | re.VERBOSE).strip().removesuffix(";")
    if ";" in bare:
        raise InputError("source.fetch.query: should be one statement, got several")
    outer, before = bare, ""
    while outer != before:
        outer, before = re.sub(r"\([^()]*\)", " ", outer), outer
    last = re.split(r"\bORDER\s+BY\b", outer, flags=re.IGNORECASE)
    if len(last) == 1 or re.search(AFTER_ORDER_BY, last[-1], re.IGNORECASE):
        raise InputError(
            "source.fetch.query: should end with ORDER BY and columns that tell every row from the others: "
            "without it equal tables come in any order, and the pin would not hold"
        )
    return re.sub(r";\s*$", "", query) if query.rstrip().endswith(";") else query


def connection_url(connection: str) -> URL:
    """Return the address that the environment variable `connection` holds. No message shows any part of a secret."""
    try:
        from sqlalchemy import exc, make_url
    except ModuleNotFoundError:
        raise InputError("a query needs SQLAlchemy: pip install -r requirements-dev.txt") from None
    is_file = connection.startswith("sqlite:///")
    if not is_file and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", connection):
        raise InputError(
            "source.fetch.connection: should be the name of an environment variable that holds the connection string, "
            "never the string itself (only sqlite:///FILE may stand here, it has no password)"
        )
    if not is_file and not os.environ.get(connection):
        raise InputError(
            f"environment variable {connection} is not set (source.fetch.connection): export it, {EXAMPLE}"
        )
    try:
        url = make_url(connection if is_file else os.environ[connection])
    except (exc.ArgumentError, ValueError):
        raise InputError(f"{connection}: its value should look like {EXAMPLE}") from None
    if "@" in (url.host or ""):
        raise InputError(f"{connection}: an @ in the user or the password should be written %40, a : %3A, a / %2F")
    plain = {"postgres", "postgresql"}
    return url.set(drivername="postgresql+psycopg") if url.drivername in plain else url


def open_engine(url: URL) -> Engine:
    """Return an engine that only reads, where the database can promise that. It connects later."""
    from sqlalchemy import create_engine, exc

    try:
        if url.get_backend_name() == "sqlite":
            return create_engine("sqlite://", creator=sqlite_opener(url))
        is_postgresql = url.get_backend_name() == "postgresql" and "connect_timeout" not in url.query
        engine = create_engine(url, connect_args={"connect_timeout": SECONDS_TO_CONNECT} if is_postgresql else {})
    except exc.NoSuchModuleError:
        raise InputError(f"SQLAlchemy knows no database {url.drivername!r}") from None
    except ModuleNotFoundError as error:
        raise InputError(f"{url.drivername} needs a package of its own: pip install {error.name}") from None
    return engine.execution_options(postgresql_readonly=True)


def sqlite_opener(url: URL) -> Callable[[], sqlite3.Connection]:
    """Return what opens the SQLite file of `url` for reading; by itself SQLite would make the file."""
    file = Path(url.database or ".")
    if not file.is_file():
        raise InputError(f"{file}: no such SQLite file (source.fetch.connection)")
    return lambda: sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, check_same_thread=False)


def place(url: URL) -> str:
    """Return the database in words that hold no secret."""
    at = f" at {url.host}{f':{url.port}' if url.port else ''}" if url.host else ""
    return f"{url.get_backend_name()} {url.database or ''}{at}"


def said(error: Exception) -> str:
    """Return what the database itself said, in one line."""
    own = getattr(error, "orig", None) or error
    lines = [line.strip() for line in str(own).splitlines() if line.strip(" ^\t")]
    text = re.sub(r'DECLARE "\w+" CURSOR FOR ', "", " ".join(lines))  # how SQLAlchemy keeps the rows at the server
    return text or type(own).__name__


def hide(message: str, url: URL) -> str:
    """Return the message without the password, should a driver have repeated it."""
    secrets = [str(url.password or ""), *(str(value) for key, value in url.query.items() if "pass" in key)]
    for secret in filter(None, secrets):
        for form in (secret, quote(secret, safe="")):
            message = message.replace(form, "***")
    return message


def write_csv(result: CursorResult[Any], file: Path) -> int:
    """Write a header and all rows; return how many rows."""
    progress = Progress("fetch", "rows", 0)
    n_rows = 0
    with text_file(file) as text:
        text.write(csv_lines([list(result.keys())]))
        for rows in result.partitions(ROWS_AT_ONCE):
            text.write(csv_lines([field(value) for value in row] for row in rows))
            n_rows += len(rows)
            progress.update(n_rows)
    progress.close()
    return n_rows


@contextmanager
def text_file(file: Path) -> Iterator[io.TextIOWrapper]:
    """Yield `file` open for text; compressed where it ends in .gz, without a time or a name: the bytes are fixed."""
    with file.open("wb") as raw:
        packed = gzip.GzipFile("", "wb", 6, raw, mtime=0) if file.name.endswith(".gz") else raw
        with io.TextIOWrapper(cast(BinaryIO, packed), "utf-8", newline="") as text:
            yield text


must_quote = re.compile('[",\r\n]').search


def csv_lines(rows: Iterable[list[str]]) -> str:
    """Return CSV records. Not the standard library's: which fields it quotes depends on Python's version."""
    return "".join(",".join(map(_quoted, row)) + "\n" if row != [""] else '""\n' for row in rows)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if must_quote(text) else text


def field(value: Any) -> str:
    """Return the one text form of a value of a database."""
    if type(value) is str:
        return value
    if value is None or type(value) is int:
        return "" if value is None else str(value)
    if isinstance(value, datetime) and value.tzinfo:
        return str(value.astimezone(UTC))
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else field(float(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, timedelta):
        return as_text(value.total_seconds()) or ""
    if isinstance(value, list | tuple | dict):
        return JSON.encode(value)
    return as_text(value) or ""


JSON = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=field)
