# What this project uses of Pyodide's foreign function interface.
from collections.abc import Callable, Iterable
from typing import Any

class JsProxy:
    def __getattr__(self, name: str) -> Any: ...
    def to_py(self, *, depth: int = ...) -> Any: ...

class JsException(Exception):
    name: str
    message: str
    stack: str

class JsNull: ...

jsnull: JsNull

def to_js(
    obj: Any,
    /,
    *,
    depth: int = ...,
    pyproxies: JsProxy | None = ...,
    create_pyproxies: bool = ...,
    dict_converter: Callable[[Iterable[Any]], Any] | None = ...,
) -> Any: ...
def create_proxy(obj: Any, /, *, capture_this: bool = ..., roundtrip: bool = ...) -> Any: ...
def create_once_callable(obj: Callable[..., Any], /) -> Any: ...
