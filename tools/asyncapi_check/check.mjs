// Reads AsyncAPI documents with the parser of the AsyncAPI project; an error of one fails all.
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { Parser } from "@asyncapi/parser";

const ERROR = 0;
// 3.0 is what tools read; newer ones add nothing that we use.
const UNWANTED = "asyncapi-latest-version";
const parser = new Parser();
let errors = 0;

for (const file of process.argv.slice(2)) {
  const { diagnostics } = await parser.parse(await readFile(file, "utf8"), { source: file });
  for (const { severity, code, message, path } of diagnostics) {
    if (code === UNWANTED) continue;
    const kind = severity === ERROR ? "error" : "advice";
    console.error(`${basename(file)}: ${kind}: ${path.join(".")}: ${message} (${code})`);
    errors += severity === ERROR ? 1 : 0;
  }
}
process.exit(errors === 0 ? 0 : 1);
