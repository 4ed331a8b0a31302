/** Parameter Store's limit for the tier in use (AWS: advanced parameters, 8 KB). */
export const valueLimitBytes = 8192;

/**
 * The text of a config value, or why it is refused. Bytes are taken exactly; what Parameter Store does not take or an environment cannot carry
 * is refused now and not at boot. The problem never quotes the value.
 */
export function configValue(bytes: Uint8Array): { readonly value: string } | { readonly problem: string } {
  if (bytes.length === 0) return { problem: 'it is empty' };
  if (bytes.length > valueLimitBytes) return { problem: `it has more than ${valueLimitBytes} bytes` };
  let value: string;
  try {
    value = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return { problem: 'it is not UTF-8' };
  }
  if (value.includes('\0')) return { problem: 'it has a NUL' };
  if (/\p{Noncharacter_Code_Point}/u.test(value)) return { problem: 'it has a Unicode non-character' };
  // PutParameter: "You can't include values wrapped in double brackets {{}} or {{ssm:parameter-name}}".
  if (/\{\{[\s\S]*\}\}/.test(value)) return { problem: 'it has {{…}}, which Parameter Store takes for a reference' };
  return { value };
}
