export function mountConsultations(_host: HTMLElement, _options: { caseId: string; readOnly: boolean }): void {}
