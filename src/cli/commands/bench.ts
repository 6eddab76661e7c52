import type { Command } from 'commander';
import { addBenchTrainCommand } from './bench-train.ts';
import { addBenchInferCommand } from './bench-infer.ts';

export function addBenchCommand(program: Command): void {
  const bench = program.command('bench').description('measure speed on this machine');
  addBenchTrainCommand(bench);
  addBenchInferCommand(bench);
}
