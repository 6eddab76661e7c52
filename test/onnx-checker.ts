import { spawnSync } from 'node:child_process';

const python = 'python3';

/** Why the checker of the onnx package cannot run here, or undefined if it can. */
export function whyNoOnnxChecker(): string | undefined {
  if (spawnSync(python, ['-c', 'import onnx']).status === 0) return undefined;
  return 'there is no Python with the onnx package (pip install onnx)';
}

/** Runs the checker of the onnx package, shape inference included, over every ONNX file of a folder. */
export function checkOnnxFiles(folder: string): {
  readonly status: number | null;
  readonly stderr: string;
  readonly files: number;
} {
  const code = [
    'import glob, onnx, sys',
    'for path in glob.glob(sys.argv[1] + "/*.onnx"):',
    '    onnx.checker.check_model(onnx.load(path), full_check=True)',
    '    print(path)',
  ].join('\n');
  const { status, stdout, stderr } = spawnSync(python, ['-c', code, folder], { encoding: 'utf8' });
  return { status, stderr, files: stdout.trim().split('\n').length };
}
