# JavaScript's globals, as Pyodide shows them: no types are known of them.
from typing import Any

def __getattr__(name: str) -> Any: ...
