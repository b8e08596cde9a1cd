// The viewer without the page around it, handed to whoever drives the browser.
import { createViewer } from "../../inference_service/web/src/viewer/index.ts";

window.heard = { select: [], add: [], coverage: [], findings: [], viewport: [] };
window.ready = createViewer(document.getElementById("viewer")).then((viewer) => {
  window.viewer = viewer;
  for (const [event, list] of Object.entries(window.heard)) {
    viewer.on(event, (detail) => list.push(event === "findings" ? { count: detail.table.count } : detail));
  }
});
