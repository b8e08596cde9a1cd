export interface SignOutOptions { caseId: string; readOnly: boolean; onChange(): void; onSigned(): void }
export function mountSignOut(_host: HTMLElement, _options: SignOutOptions): void {}
export function mountDiscussion(_host: HTMLElement, _options: { caseId: string }): void {}
