"""Brings files from a URL, or a glob of them, through fsspec: for tools.fetch."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from stages.shared.errors import InputError, did_you_mean
from stages.shared.progress import Progress

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

SECONDS_WITHOUT_A_BYTE = 60


def is_glob(url: str) -> bool:
    """Say whether `url` names several files; a question mark begins a query there."""
    return bool(re.search(r"[*\[]", url))


def bring_url(url: str, folder: Path, name: str | None) -> list[Path]:
    """Bring the file at `url` into `folder` as `name`, or every file of a glob under its own name; return them."""
    system, path = open_system(url)
    found = {name: path} if name else listed(system, path, url)
    for own, remote in found.items():
        copy_file(system, remote, folder / own, url if name else f"{shown(url)}, {own}")
    return [folder / own for own in sorted(found)]


def open_system(url: str) -> tuple[AbstractFileSystem, str]:
    """Return (the file system of the URL's protocol, the path in it)."""
    try:
        from fsspec.core import url_to_fs
        from fsspec.registry import known_implementations
    except ModuleNotFoundError:
        raise InputError("a URL needs fsspec: pip install -r requirements-dev.txt") from None
    protocol = url.split("://")[0] if "://" in url else "file"
    if urlsplit(url).password:
        raise InputError(
            "source.fetch.url: holds a password, which must not be in Git; use ~/.netrc or the environment"
        )
    known = known_implementations.get(protocol)
    if known is None:
        raise InputError(
            f"{shown(url)}: fsspec knows no protocol {protocol!r}{did_you_mean(protocol, known_implementations)}"
        )
    try:
        system, path = url_to_fs(url, skip_instance_cache=True, **web_options(protocol))
        return system, str(path)
    except (ImportError, ValueError) as error:
        package = known["class"].split(".")[0]
        hint = f"pip install {package}" if isinstance(error, ImportError) and package != "fsspec" else f"{error}"
        if package == "s3fs" and isinstance(error, ImportError):
            hint = "README, 'A table that lies elsewhere', says how to install requirements-s3.txt"
        raise InputError(f"{shown(url)}: {protocol}:// needs a package of its own: {hint}") from None


def web_options(protocol: str) -> dict[str, Any]:
    """Return what makes a web server send the file as it lies there, through proxies, however long it takes."""
    if protocol not in ("http", "https"):
        return {}
    from aiohttp import ClientTimeout

    timeout = ClientTimeout(total=None, sock_connect=SECONDS_WITHOUT_A_BYTE, sock_read=SECONDS_WITHOUT_A_BYTE)
    client = {"timeout": timeout, "trust_env": True, "auto_decompress": False}
    return {"client_kwargs": client, "headers": {"Accept-Encoding": "identity"}}


def listed(system: AbstractFileSystem, path: str, url: str) -> dict[str, str]:
    """Return the path of each file that the glob finds, by its own name. Raises InputError where two have one name."""
    try:
        found = system.glob(path, detail=True)
    except Exception as error:  # each protocol raises exceptions of its own
        raise unreachable(url, error) from None
    files = sorted(name for name, about in found.items() if about.get("type") != "directory")
    if not files:
        raise InputError(f"{shown(url)}: no file fits (source.fetch.url)")
    names = [PurePosixPath(unquote(urlsplit(file).path) if "://" in file else file).name for file in files]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{shown(url)}: several files have one name: {', '.join(twice)} (source.fetch.url)")
    return dict(zip(names, files, strict=True))


def copy_file(system: AbstractFileSystem, remote: str, file: Path, url: str) -> None:
    """Copy one file whole. Raises InputError where it cannot be had, comes short or is empty."""
    from fsspec.callbacks import Callback

    class Shown(Callback):  # type: ignore[misc]  # fsspec has no types
        progress = Progress("fetch", "bytes", 0)

        def call(self, hook_name: str | None = None, **_: Any) -> None:
            self.progress.total = self.size or 0
            self.progress.update(self.value)

    callback = Shown()
    try:
        system.get_file(remote, str(file), callback=callback)
    except Exception as error:  # each protocol raises exceptions of its own
        raise unreachable(url, error) from None
    finally:
        callback.progress.close()
    if not file.is_file():
        raise InputError(f"{shown(url)}: is a folder; name a file or a glob (source.fetch.url)")
    n_bytes = file.stat().st_size
    if callback.size is not None and n_bytes != callback.size:
        raise InputError(f"{shown(url)}: came short, {n_bytes} of {callback.size} bytes")
    if n_bytes == 0:
        raise InputError(f"{shown(url)}: the file is empty")


def unreachable(url: str, error: Exception) -> InputError:
    """Return the error in one line, without the URL's query, which may hold a key."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{shown(url)}: no such file there (source.fetch.url)")
    query = urlsplit(url).query
    text = " ".join(str(error).split()) or type(error).__name__
    return InputError(f"{shown(url)}: cannot be brought: {text.replace(f'?{query}', '') if query else text}")


def shown(url: str) -> str:
    """Return the URL without its query."""
    return url.split("?")[0]
