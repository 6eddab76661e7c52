/** The only place that reads the environment, so that every variable a program depends on is found by searching for this function. */
export function environmentVariable(name: string): string | undefined {
  const value = process.env[name];
  return value === '' ? undefined : value;
}

/** Sets a variable for this process, its children and the native libraries it loads from now on. */
export function setEnvironmentVariable(name: string, value: string): void {
  process.env[name] = value;
}
