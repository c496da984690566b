"""
Packs the Pyodide bundle that workerd runs Python Workers with, from the npm package `pyodide`.

Usage: pack_runtime.py PYODIDE_FOLDER BUNDLE_FILE

Cloudflare supplies this file in production; workerd would download it, which a machine that reaches
only package registries cannot. The module `pyodide-internal:builtin_wrappers` of workerd replaces
what its sandbox forbids: run-time code generation, the clock and entropy. Needs pycapnp, unless the
bundle is up to date.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

SCHEMA = Path(__file__).with_name("bundle.capnp")
SCRIPT, BINARY, LIBRARY = "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip"
WRAPPERS = (
    "addEventListener",
    "getRandomValues",
    "location",
    "monotonicDateNow",
    "newWasmModule",
    "patchedLoadLibData",
    "wasmInstantiate",
)
LOAD_LIB_DATA = "function loadLibData(){"


class PackError(Exception):
    """The bundle cannot be packed; the message says why."""


@dataclass(frozen=True, slots=True)
class Edit:
    """
    One replacement in Pyodide's script.

    Attributes:
        old: Text that must be there.
        new: What takes its place.
        count: How often it is there in the pinned Pyodide; another count means another script.
    """

    old: str
    new: str
    count: int


EDITS = (
    Edit("new WebAssembly.Module", "newWasmModule", 4),
    Edit("WebAssembly.instantiate", "wasmInstantiate", 3),
    Edit("Date.now", "monotonicDateNow", 22),
    Edit("crypto.getRandomValues(", "getRandomValues(Module, ", 1),
    Edit("getMemory(", "Module.getMemoryPatched(Module, libName, ", 1),
    Edit(
        LOAD_LIB_DATA,
        f"{LOAD_LIB_DATA}const found=patchedLoadLibData(Module,libName,flags.rpath);"
        "return flags.loadAsync?Promise.resolve(found):found}function upstreamLoadLibData(){",
        1,
    ),
    Edit(
        "export default _createPyodideModule;",
        "export default _createPyodideModule;export{_createPyodideModule};",
        1,
    ),
)


def edit_script(text: str) -> str:
    """
    Return Pyodide's script as workerd can run it.

    Raises:
        PackError: A text that is to be replaced is missing, or is there more or less often.
    """
    for edit in EDITS:
        count = text.count(edit.old)
        if count != edit.count:
            raise PackError(
                f"{SCRIPT} holds {edit.old!r} {count} times, expected {edit.count}; "
                "this Pyodide needs new edits in scripts/pack_runtime.py"
            )
        text = text.replace(edit.old, edit.new)
    return f'import {{{",".join(WRAPPERS)}}} from "pyodide-internal:builtin_wrappers";\n{text}'


def read_part(folder: Path, name: str) -> bytes:
    """Return the content of one file of the npm package."""
    try:
        return (folder / name).read_bytes()
    except OSError as exc:
        raise PackError(f"cannot read {name} of the npm package pyodide: {exc}") from exc


def pack(folder: Path) -> bytes:
    """
    Return the bundle: one Cap'n Proto message of three modules, in workerd's schema.

    Args:
        folder: The npm package `pyodide`.

    Raises:
        PackError: A file is missing or is not what it was when the edits were made.
    """
    import capnp  # noqa: PLC0415 - only needed when there is something to pack

    try:
        script = edit_script(read_part(folder, SCRIPT).decode())
    except UnicodeDecodeError as exc:
        raise PackError(f"{SCRIPT} is not UTF-8: {exc}") from exc
    parts = (
        ("pyodide.asm", "src", script.encode()),
        (BINARY, "wasm", read_part(folder, BINARY)),
        (LIBRARY, "data", read_part(folder, LIBRARY)),
    )
    message = capnp.load(str(SCHEMA)).Bundle.new_message()
    modules = message.init("modules", len(parts))
    for module, (name, kind, content) in zip(modules, parts, strict=True):
        module.name = f"pyodideRuntime-internal:{name}"
        setattr(module, kind, content)
        module.type = "internal"
    return bytes(message.to_bytes())


def fingerprint(folder: Path) -> str:
    """Return a digest of all that decides what the bundle holds."""
    digest = hashlib.sha256()
    for content in (
        Path(__file__).read_bytes(),
        SCHEMA.read_bytes(),
        *(read_part(folder, name) for name in (SCRIPT, BINARY, LIBRARY)),
    ):
        digest.update(len(content).to_bytes(8, "big"))
        digest.update(content)
    return digest.hexdigest()


def write_bundle(folder: Path, target: Path) -> bool:
    """
    Write the bundle to *target* unless it is up to date; returns whether it was written.

    The bundle and then its stamp are put in place whole, so that neither is ever seen half written.
    """
    stamp = target.with_name(f"{target.name}.sha256")
    expected = fingerprint(folder)
    if target.is_file() and stamp.is_file() and stamp.read_text() == expected:
        return False
    content = pack(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    for path, data in ((target, content), (stamp, expected.encode())):
        fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
        fresh.write_bytes(data)
        fresh.replace(path)
    return True


def main(arguments: list[str]) -> int:
    """Pack as the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="pack_runtime.py",
        description="Packs the Pyodide bundle that workerd runs Python Workers with, unless it is "
        "up to date.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "folder", metavar="PYODIDE_FOLDER", type=Path, help="the npm package pyodide"
    )
    parser.add_argument("bundle", metavar="BUNDLE_FILE", type=Path, help="the file to write")
    options = parser.parse_args(arguments)
    try:
        written = write_bundle(options.folder, options.bundle)
    except PackError as exc:
        sys.stderr.write(f"pack_runtime: {exc}\n")
        return 1
    sys.stdout.write(f"{'packed' if written else 'up to date'}: {options.bundle}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
