import { defineConfig } from "vite";

// The viewer alone, for its tests and benchmark: VIEWER_PAGE_OUT is the folder to build into; with VIEWER_PAGE=logic.test
// what needs no browser, for node --test.
const entry = process.env.VIEWER_PAGE ?? "page";

export default defineConfig({
  root: import.meta.dirname,
  logLevel: "error",
  build: {
    outDir: process.env.VIEWER_PAGE_OUT,
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    ssr: entry !== "page",
    rollupOptions: {
      input: `${import.meta.dirname}/${entry}.js`,
      output: { entryFileNames: `${entry}.js`, chunkFileNames: "[name].js", assetFileNames: "[name][extname]" },
    },
  },
});
