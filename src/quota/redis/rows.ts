import { LEDGER_SUMS, type LedgerRow, noSums } from '../ledger.ts';

/** The rows of a tenant's day as they are stored: see `pending.ts`. What is not of this form was not written by a gateway, and is left out. */
export function rowsOf(day: string, tenant: string, stored: unknown): LedgerRow[] {
  const rows = new Map<string, LedgerRow>();
  for (const [field, value] of fieldsOf(stored)) {
    const [key, model, target, sum] = parse(field);
    const name = LEDGER_SUMS.find((one) => one === sum);
    if (key === undefined || model === undefined || target === undefined || name === undefined) continue;
    const of = JSON.stringify([key, model, target]);
    const row = rows.get(of) ?? { day, tenant, key, model, target, sums: noSums() };
    row.sums[name] = Number(value);
    rows.set(of, row);
  }
  return [...rows.values()];
}

/** Of a hash: alternating, or by name. */
function fieldsOf(stored: unknown): [string, unknown][] {
  if (!Array.isArray(stored)) return Object.entries(stored ?? {});
  const fields: [string, unknown][] = [];
  for (let i = 0; i + 1 < stored.length; i += 2) fields.push([String(stored[i]), stored[i + 1]]);
  return fields;
}

function parse(field: string): string[] {
  try {
    const parts: unknown = JSON.parse(field);
    return Array.isArray(parts) && parts.every((part) => typeof part === 'string') ? parts : [];
  } catch {
    return [];
  }
}
