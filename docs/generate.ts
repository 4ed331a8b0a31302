import { writeFileSync } from 'node:fs';
import { causesPage } from './causes-page.ts';
import { documentsPage } from './documents-page.ts';

/** `npm run docs`: writes the pages that are made of sources. */
for (const [name, text] of Object.entries({ 'causes.md': causesPage(), 'documents.md': documentsPage() })) {
  writeFileSync(new URL(name, import.meta.url), text);
}
