import { agentPage } from './agent-page.ts';
import { causesPage } from './causes-page.ts';
import { documentsPage } from './documents-page.ts';
import { exitCodesPage } from './exit-codes-page.ts';
import { metricsPage } from './metrics-page.ts';
import { settingsPage } from './settings-page.ts';
import { terraformInputsPage } from './terraform-inputs-page.ts';
import { terraformMetrics } from './terraform-metrics.ts';

/** The pages that are made of sources, by file name in this folder. */
export const pages: Readonly<Record<string, () => string>> = {
  'agent.md': agentPage,
  'causes.md': causesPage,
  'documents.md': documentsPage,
  'exit-codes.md': exitCodesPage,
  'metrics.md': metricsPage,
  'settings.md': settingsPage,
  'terraform-inputs.md': terraformInputsPage,
  '../terraform/environment/metrics.json': terraformMetrics,
};
