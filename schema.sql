-- Tables of the Worker's D1 database. Re-runnable: every statement leaves what exists as it is.

CREATE TABLE IF NOT EXISTS schema_version (
  version INTEGER PRIMARY KEY
) STRICT;

INSERT OR IGNORE INTO schema_version (version) VALUES (1);
