// Builds the package into `dist`, and the single file that the Rust examples embed.
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** The single file: every module and the parser, readable, with the parser's licence. */
export async function bundle() {
  const licence = readFileSync(here("node_modules/eventsource-parser/LICENSE"), "utf8").trim();
  const { outputFiles } = await build({
    ...common,
    format: "esm",
    bundle: true,
    write: false,
    banner: {
      js: "// actix-web-sse-client, MIT OR Apache-2.0. Built from clients/src by clients/build.mjs: do not edit.\n"
        + "// It contains eventsource-parser:\n"
        + licence.replace(/^/gm, "// ").replace(/ +$/gm, ""),
    },
  });
  return outputFiles[0].text;
}

const common = {
  absWorkingDir: here("."),
  entryPoints: ["src/index.ts"],
  target: "es2022",
  platform: "neutral",
  logLevel: "warning",
  legalComments: "none",
};

async function main() {
  rmSync(here("dist"), { recursive: true, force: true });
  mkdirSync(here("dist"));
  const external = ["eventsource-parser"];
  await build({ ...common, format: "esm", bundle: true, external, outfile: "dist/index.js" });
  await build({ ...common, format: "cjs", bundle: true, external, outfile: "dist/index.cjs" });
  const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
  execFileSync(process.execPath, [tsc, "--emitDeclarationOnly"], { cwd: here("."), stdio: "inherit" });
  // A CommonJS caller needs declarations of its own kind.
  for (const file of readdirSync(here("dist")).filter((name) => name.endsWith(".d.ts"))) {
    const text = readFileSync(here(`dist/${file}`), "utf8");
    writeFileSync(here(`dist/${file.replace(/\.d\.ts$/, ".d.cts")}`), text.replaceAll(/(from ")(\.\/.*)\.js"/g, '$1$2.cjs"'));
  }
  if (process.argv.includes("--bundle")) writeFileSync(here("bundle/sse-client.js"), await bundle());
}

if (process.argv[1] === here("build.mjs")) await main();
