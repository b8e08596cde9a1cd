/** Words for a probability; the same limits as `LIKELIHOODS` in inference_service/web/case_pages.py. */
export const LIKELIHOODS: readonly (readonly [number, string])[] = [
  [0.05, "very-unlikely"],
  [0.25, "unlikely"],
  [0.5, "possible"],
  [0.8, "likely"],
];

export const likelihood = (probability: number): string =>
  LIKELIHOODS.find(([limit]) => probability < limit)?.[1] ?? "very-likely";
