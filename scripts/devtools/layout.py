"""Where things lie in the repository; what the scripts make is in folders that git ignores."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
WRANGLER_TOML = ROOT / "wrangler.toml"
SCHEMA_SQL = ROOT / "schema.sql"
MIGRATIONS = ROOT / "migrations"
DEV_VARS = ROOT / ".dev.vars"
PYPROJECT = ROOT / "pyproject.toml"
REQUIREMENTS = ROOT / "requirements"
DEV_REQUIREMENTS = REQUIREMENTS / "dev.txt"
UV_REQUIREMENTS = REQUIREMENTS / "uv.txt"
WORKER_REQUIREMENTS = REQUIREMENTS / "worker.txt"
PACKAGE_LOCK = ROOT / "package-lock.json"

PAGE_BUILD = SCRIPTS / "page" / "build.mjs"

NODE_MODULES = ROOT / "node_modules"
PYTHON_MODULES = ROOT / "python_modules"
MADE = ROOT / ".dev"
UV = MADE / "uv"
UV_CACHE = MADE / "uv-cache"
VENV = MADE / "venv"
STAMPS = MADE / "stamps"
LOGS = MADE / "logs"
BYTECODE = MADE / "bytecode"
RUNS = MADE / "run"
DATABASES = MADE / "databases"
SNAPSHOTS = MADE / "snapshots"
NODE_CACHE = MADE / "node-cache"
PAGE_FILES = MADE / "page"
BUNDLE_DIR = MADE / "bundle"
WORKERD = MADE / "workerd"
SETUP_LOCK = MADE / "setup.lock"
DEFAULT_STATE = MADE / "state"
