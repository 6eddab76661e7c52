/** The only place that reads the environment, so that every variable a program depends on is found by searching for this function. */
export function environmentVariable(name: string): string | undefined {
  const value = process.env[name];
  return value === '' ? undefined : value;
}
