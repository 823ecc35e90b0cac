// What npm gets, and what a page has to load.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { transform } from "esbuild";
import { bundle } from "../build.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path) => readFileSync(join(root, path), "utf8");
const manifest = JSON.parse(read("package.json"));
const NAMES = ["FetchStream", "LastingEventSource", "SharedStream", "Source", "StreamErrorEvent", "diagnose", "events"];

test("the manifest is what npm and its users expect", () => {
  assert.equal(manifest.license, "MIT OR Apache-2.0");
  assert.equal(manifest.type, "module");
  assert.equal(manifest.sideEffects, false);
  assert.ok(manifest.engines.node);
  assert.deepEqual(Object.keys(manifest.dependencies), ["eventsource-parser"]);
  for (const hook of ["preinstall", "install", "postinstall", "prepare"]) {
    assert.equal(manifest.scripts[hook], undefined, `no ${hook}`);
  }
  const cargo = readFileSync(join(root, "../Cargo.toml"), "utf8");
  assert.equal(manifest.version, /^version = "(.*)"$/m.exec(cargo)[1], "one version for all");
});

test("the package holds the builds, their types, the licences and the README, and no more", () => {
  const packed = JSON.parse(execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: root, stdio: ["ignore", "pipe", "ignore"] }));
  const [{ files }] = Array.isArray(packed) ? packed : Object.values(packed);
  const paths = files.map(({ path }) => path);
  for (const path of ["README.md", "package.json", "dist/index.js", "dist/index.cjs", "dist/index.d.ts", "dist/index.d.cts", "LICENSE-MIT", "LICENSE-APACHE"]) {
    assert.ok(paths.includes(path), path);
  }
  const others = paths.filter((path) => !/^(README\.md|LICENSE-(MIT|APACHE)|package\.json|dist\/[\w-]+\.(js|cjs|d\.ts|d\.cts))$/.test(path));
  assert.deepEqual(others, []);
});

/** A folder in which the package is installed, as npm would lay it out. */
function installed(t) {
  const folder = mkdtempSync(join(tmpdir(), "sse-client-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const own = join(folder, "node_modules", manifest.name);
  mkdirSync(own, { recursive: true });
  cpSync(join(root, "dist"), join(own, "dist"), { recursive: true });
  cpSync(join(root, "package.json"), join(own, "package.json"));
  for (const name of ["eventsource-parser"]) symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name));
  return folder;
}

test("it can be imported and required", (t) => {
  const folder = installed(t);
  const run = (...args) => JSON.parse(execFileSync(process.execPath, args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }));
  const show = "console.log(JSON.stringify(Object.keys(all).filter((name) => name !== 'default').sort()))";
  assert.deepEqual(run("--input-type=module", "-e", `import * as all from "${manifest.name}"; ${show}`), NAMES);
  assert.deepEqual(run("--input-type=commonjs", "-e", `const all = require("${manifest.name}"); ${show}`), NAMES);
});

const CONSUMER = `
  const source = new FetchStream("https://x.example/", { headers: async () => ({ Authorization: "Bearer x" }), signal: AbortSignal.timeout(1) });
  source.onmessage = ({ data, lastEventId }) => { const text: string = data + lastEventId; void text; };
  source.onerror = ({ status, failure, cause }) => { const known: number | undefined = status; void [known, failure, cause]; };
  source.addEventListener("price", ({ data }) => JSON.parse(data) as unknown);
  source.addEventListener("error", ({ failure }) => failure === "idle");
  const shared: Source = new SharedStream(() => "/events", { name: "events", report: { callback: ({ diagnosis }) => diagnosis } });
  const lasting = new LastingEventSource("/events", { withCredentials: true });
  lasting.addEventListener("reset", ({ data }) => data.length);
  // @ts-expect-error there is no such option
  new FetchStream("/", { header: {} });
  void [shared, lasting, events];
`;

test("its types serve importers and requirers", (t) => {
  const folder = installed(t);
  const names = "{ events, FetchStream, LastingEventSource, SharedStream, Source }";
  writeFileSync(join(folder, "a.mts"), `import ${names} from "${manifest.name}";\n${CONSUMER}`);
  writeFileSync(join(folder, "b.cts"), `import all = require("${manifest.name}");\nimport type { Source } from "${manifest.name}";\nconst { events, FetchStream, LastingEventSource, SharedStream } = all;\n${CONSUMER}`);
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  for (const module of ["node16", "nodenext"]) {
    execFileSync(process.execPath, [tsc, "--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "es2022", "--lib", "es2022,dom", "--module", module, "a.mts", "b.cts"], { cwd: folder, stdio: "inherit" });
  }
});

test("the single file that the Rust examples embed is what these sources build", async () => {
  assert.equal(read("bundle/sse-client.js"), await bundle(), "run `node build.mjs --bundle` in clients/");
});

test("the README states the size", async () => {
  const text = read("bundle/sse-client.js");
  const { code } = await transform(text, { minify: true, legalComments: "none", format: "esm", target: "es2022" });
  const kib = (bytes) => Math.ceil(bytes / 102.4) / 10;
  const [small, zipped] = [kib(Buffer.byteLength(code)), kib(gzipSync(code, { level: 9 }).length)];
  const stated = /\*\*([\d.]+) KiB minified, ([\d.]+) KiB with gzip\*\*/.exec(read("README.md"));
  // Compressors differ a little.
  for (const [at, size] of [small, zipped].entries()) {
    assert.ok(Math.abs(Number(stated?.[at + 1]) - size) <= 0.2, `it says ${stated?.[at + 1]}, and it is ${size}`);
  }
});
