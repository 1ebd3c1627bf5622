// Builds the console into src/queryrun/console/static: hashed names, each file also gzipped.
import { build } from "esbuild";
import { mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const MAX_SCRIPT_BYTES = 200 * 1024; // compressed, all scripts together
const here = dirname(fileURLToPath(import.meta.url));
const target = process.argv[2] ?? join(here, "../src/queryrun/console/static");
const work = `${target}.new`;

const functions = JSON.parse(await readFile(join(here, "../src/queryrun/sql/compile/functions.json"), "utf8"));

/** uPlot formats numbers in `navigator.language`, which throws where that is no language, such as
 * "en-US@posix". Without one the browser takes its own. */
const numbersInAnyLanguage = {
  name: "numbers-in-any-language",
  setup({ onLoad }) {
    onLoad({ filter: /uPlot\.esm\.js$/ }, async ({ path }) => {
      const text = await readFile(path, "utf8");
      const wanted = "domEnv ? nav.language : 'en-US'";
      if (!text.includes(wanted)) throw new Error("uPlot has changed: look at how it formats numbers");
      return { contents: text.replace(wanted, "undefined") };
    });
  },
};

await rm(work, { recursive: true, force: true });
await mkdir(work, { recursive: true });
const result = await build({
  absWorkingDir: here,
  entryPoints: { main: "src/main.tsx", style: "src/style.css", icon: "src/icon.svg" },
  outdir: work,
  entryNames: "[name]-[hash]",
  chunkNames: "part-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "linked",
  metafile: true,
  jsx: "automatic",
  jsxImportSource: "preact",
  loader: { ".svg": "copy" },
  plugins: [numbersInAnyLanguage],
  define: { __FUNCTIONS__: JSON.stringify(Object.keys(functions).join(" ")) },
  logLevel: "warning",
});

const outputs = Object.entries(result.metafile.outputs);
const named = (source) => outputs.find(([, one]) => one.entryPoint === `src/${source}`)[0];
const script = named("main.tsx");
const preloads = result.metafile.outputs[script].imports
  .filter((one) => one.kind === "import-statement")
  .map((one) => basename(one.path));
const files = (await readdir(work)).filter((name) => /\.(js|css|svg)$/.test(name)).sort();
let scriptBytes = 0;
for (const name of files) {
  const packed = gzipSync(await readFile(join(work, name)), { level: 9 });
  await writeFile(join(work, `${name}.gz`), packed);
  if (name.endsWith(".js")) scriptBytes += packed.length;
}
const manifest = {
  script: basename(script),
  style: basename(named("style.css")),
  icon: basename(named("icon.svg")),
  preloads,
  files,
};
await writeFile(join(work, "manifest.json"), JSON.stringify(manifest, null, 1));
if (scriptBytes > MAX_SCRIPT_BYTES) {
  throw new Error(`scripts have ${scriptBytes} bytes compressed, more than ${MAX_SCRIPT_BYTES}`);
}
await rm(target, { recursive: true, force: true });
await rename(work, target);
console.log(`console: ${files.length} files, ${(scriptBytes / 1024).toFixed(1)} KiB of script, compressed`);
