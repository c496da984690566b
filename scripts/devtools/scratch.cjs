// Loaded into wrangler before its own code, so that what it writes into the project and throws away
// goes into the run's own folder of temporary files: see scratch.py.
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

const IN_PROJECT = path.join(".wrangler", "tmp") + path.sep;
const makeFolder = fs.mkdtempSync;

fs.mkdtempSync = (prefix, options) =>
  makeFolder(prefix.includes(IN_PROJECT) ? path.join(os.tmpdir(), path.basename(prefix)) : prefix, options);
