// Uploads one file with tus-js-client, as the web page does: node tus_upload.mjs URL FILE CHUNK_BYTES
import { createReadStream, statSync } from "node:fs";
import { Upload } from "tus-js-client";

const [url, path, chunkBytes] = process.argv.slice(2);
new Upload(createReadStream(path), {
  endpoint: `${url}api/v1/uploads`,
  chunkSize: Number(chunkBytes),
  uploadSize: statSync(path).size,
  retryDelays: Array(200).fill(200),
  metadata: { objective: "40" },
  onShouldRetry: () => true,
  onError: (error) => {
    console.error(String(error));
    process.exit(1);
  },
  onSuccess: ({ lastResponse }) => console.log(lastResponse.getHeader("Tamsoat-Analysis")),
}).start();
