"""The bill of materials of a wheel: CycloneDX 1.6 as JSON, of fixed bytes, without a serial number or a time.

Format: https://cyclonedx.org/docs/1.6/json/. It lies where PEP 770 has it, in the wheel's dist-info/sboms.
"""

from __future__ import annotations

import hashlib
from typing import Any

from stages.shared.files import json_bytes
from stages.shared.packaging.requirements import EXTRAS, LOADED_ALONE, Pin, closure

FILE = "sboms/model.cdx.json"


def bill_of_materials(name: str, version: str, pins: list[Pin], packages: list[str], files: dict[str, bytes]) -> bytes:
    """Return the bill of a model: `packages` are what it needs directly, `files` what it consists of, by path."""
    base = closure(pins, packages)
    whole = closure(pins, {*packages, *(each for names in EXTRAS.values() for each in names)})
    reference = f"pkg:pypi/{name}@{version}"
    parts = [
        {"type": "file", "bom-ref": path, "name": path,
         "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}]}
        for path, content in sorted(files.items())
    ]  # fmt: skip
    own = {"type": "machine-learning-model", "bom-ref": reference, "name": name, "version": version, "purl": reference}
    return json_bytes(
        {
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "version": 1,
            "metadata": {"component": own | {"components": parts}},
            "components": [_component(pin, "required" if pin in base else "optional") for pin in whole],
            "dependencies": _dependencies(reference, whole, packages),
        }
    )


def _reference(pin: Pin) -> str:
    return f"pkg:pypi/{pin.name.lower()}@{pin.version}"


def _component(pin: Pin, scope: str) -> dict[str, Any]:
    """Return one package; the hashes are of its files, any of which is the one that is installed."""
    component: dict[str, Any] = {
        "type": "library", "bom-ref": _reference(pin), "name": pin.name, "version": pin.version, "scope": scope,
        "purl": _reference(pin),
    }  # fmt: skip
    if pin.marker:
        component["properties"] = [{"name": "plumbline:marker", "value": pin.marker}]
    hashes = [{"alg": "SHA-256", "content": item.removeprefix("sha256:")} for item in pin.hashes]
    component["externalReferences"] = [{"type": "distribution", "url": _reference(pin), "hashes": hashes}]
    return component


def _dependencies(reference: str, pins: list[Pin], packages: list[str]) -> list[dict[str, Any]]:
    """Return what each needs, the model first."""
    direct = {*packages, *(each for names in EXTRAS.values() for each in names)}
    graph = [{"ref": reference, "dependsOn": sorted(_reference(pin) for pin in pins if pin.name in direct)}]
    for pin in pins:
        needed = [] if pin.name in LOADED_ALONE else [_reference(each) for each in pins if pin.name in each.via]
        graph.append({"ref": _reference(pin), "dependsOn": sorted(needed)})
    return graph
