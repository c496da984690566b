"""The packer of the Pyodide bundle: what it writes, when it writes, and when it refuses."""

from __future__ import annotations

from pathlib import Path

import capnp
import pytest

import pack_runtime
from pack_runtime import EDITS, PackError, edit_script, main, pack, write_bundle

WASM, STDLIB = b"\0asm and more", b"PK and more"


def script_text() -> str:
    """Return a text that holds every text to be replaced as often as Pyodide's script does."""
    return "".join(f"{edit.old};\n" * edit.count for edit in EDITS)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder like the npm package pyodide."""
    folder = tmp_path / "pyodide"
    folder.mkdir()
    (folder / "pyodide.asm.mjs").write_text(script_text())
    (folder / "pyodide.asm.wasm").write_bytes(WASM)
    (folder / "python_stdlib.zip").write_bytes(STDLIB)
    return folder


def test_bundle_holds_three_internal_modules(package: Path) -> None:
    """The message reads back as the script, the WebAssembly and the library, all internal."""
    schema = capnp.load(str(pack_runtime.SCHEMA))
    with schema.Bundle.from_bytes(pack(package)) as bundle:
        modules = [
            (module.name, str(module.type), module.which(), getattr(module, module.which()))
            for module in bundle.modules
        ]
    script = edit_script(script_text()).encode()
    assert modules == [
        ("pyodideRuntime-internal:pyodide.asm", "internal", "src", script),
        ("pyodideRuntime-internal:pyodide.asm.wasm", "internal", "wasm", WASM),
        ("pyodideRuntime-internal:python_stdlib.zip", "internal", "data", STDLIB),
    ]


def test_script_imports_what_the_edits_put_in() -> None:
    """The first line imports every wrapper, and none of the forbidden texts is left."""
    first, _, rest = edit_script(script_text()).partition("\n")
    assert first.startswith("import {addEventListener,getRandomValues,")
    assert first.endswith('} from "pyodide-internal:builtin_wrappers";')
    forbidden = ("new WebAssembly.Module", "WebAssembly.instantiate", "Date.now", "crypto.get")
    assert [] == [text for text in forbidden if text in rest]
    assert "patchedLoadLibData(Module,libName,flags.rpath)" in rest
    assert "export{_createPyodideModule};" in rest


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.old)
def test_missing_text_is_named(edit: pack_runtime.Edit) -> None:
    """A script without one of the texts is refused, and the message holds that text."""
    text = script_text().replace(edit.old, "something else")
    with pytest.raises(PackError, match=r"holds .* 0 times") as caught:
        edit_script(text)
    assert repr(edit.old) in str(caught.value)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.old)
def test_text_that_is_there_once_too_often_is_refused(edit: pack_runtime.Edit) -> None:
    """Another count than in the pinned Pyodide means another script."""
    with pytest.raises(PackError, match=f"{edit.count + 1} times, expected {edit.count}"):
        edit_script(script_text() + edit.old)


def test_bundle_is_written_once(package: Path, tmp_path: Path) -> None:
    """An up-to-date bundle is left alone; a changed input or a lost file renews it."""
    target = tmp_path / "out" / "pyodide_dev.capnp.bin"
    assert write_bundle(package, target) is True
    first = target.read_bytes()
    assert write_bundle(package, target) is False
    (package / "pyodide.asm.wasm").write_bytes(WASM + b"!")
    assert write_bundle(package, target) is True
    assert target.read_bytes() != first
    target.unlink()
    assert write_bundle(package, target) is True
    target.with_name(f"{target.name}.sha256").unlink()
    assert write_bundle(package, target) is True


def test_refusal_keeps_the_earlier_bundle(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script that no longer fits ends with status 1, a message, and the old bundle untouched."""
    target = tmp_path / "pyodide_dev.capnp.bin"
    assert main([str(package), str(target)]) == 0
    before = target.read_bytes()
    (package / "pyodide.asm.mjs").write_text("export default anotherModule;")
    assert main([str(package), str(target)]) == 1
    assert "this Pyodide needs new edits" in capsys.readouterr().err
    assert target.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.endswith(".new")) == []


def test_missing_file_is_named(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A package without one of its files ends with status 1 and names it."""
    (package / "python_stdlib.zip").unlink()
    assert main([str(package), str(tmp_path / "bundle")]) == 1
    assert "cannot read python_stdlib.zip" in capsys.readouterr().err


def test_wrong_arguments_show_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a folder and a file there is nothing to do."""
    with pytest.raises(SystemExit, match=r"^2$"):
        main([])
    assert "usage: pack_runtime.py" in capsys.readouterr().err
