import { readdirSync } from "node:fs";
import { defineConfig } from "vite";

const pages = "inference_service/web/src/pages";

// One module per page, under names that do not change: the templates ask for them, and the server revalidates.
export default defineConfig({
  root: "inference_service/web/src",
  base: "/static/assets/",
  build: {
    outDir: "../static/assets",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    rollupOptions: {
      input: Object.fromEntries(readdirSync(pages).map((file) => [file.replace(/\.ts$/, ""), `${pages}/${file}`])),
      output: { entryFileNames: "[name].js", chunkFileNames: "[name].js", assetFileNames: "[name][extname]" },
    },
  },
});
