import { defineConfig } from "vite";

// The viewer alone, for its tests and benchmark: node_modules/.bin/vite build --config tests/viewer_page/vite.config.js
export default defineConfig({
  root: import.meta.dirname,
  logLevel: "error",
  build: {
    outDir: process.env.VIEWER_PAGE_OUT,
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    rollupOptions: {
      input: `${import.meta.dirname}/page.js`,
      output: { entryFileNames: "page.js", chunkFileNames: "[name].js", assetFileNames: "[name][extname]" },
    },
  },
});
