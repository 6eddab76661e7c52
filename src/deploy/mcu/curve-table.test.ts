import { expect, test } from 'vitest';
import { activate } from '../../engine/reference/activation.ts';
import { curveTable } from './curve-table.ts';
import type { CurveActivation } from './graph.ts';
import type { IntegerScale } from './input.ts';

/** What LiteRT 2.3.0 made of -128 to 127, as bytes: test/tflite.test.ts asks it again where it is installed. */
const made: readonly (readonly [CurveActivation, IntegerScale, IntegerScale, string])[] = [
  [
    { type: 'leakyRelu', slope: 0.1 },
    { scale: 0.013518488965928555, zeroPoint: -120 },
    { scale: 0.013605738990008831, zeroPoint: -127 },
    'gICAgYGBgYGBgoOEhYaHiImKi4yNjo+QkZKTlJWWl5iZmpucnZ6foKGio6SlpqeoqaqrrK2ur7CxsrO0tba3uLm6u7y9vr/AwcHCw8TFxsfIycrLzM3Oz9DR0tPU1dbX2Nna29zd3t/g4eLj5OXm5+jp6uvs7e7v8PHy8/T19vf4+fr7/P3+/wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj9AQEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl9gYWJjZGVmZ2hpamtsbW5vcHFyc3R1dg==',
  ],
  [
    { type: 'gelu' },
    { scale: 0.06460500508546829, zeroPoint: -123 },
    { scale: 0.06395255774259567, zeroPoint: -125 },
    'gYGCgoODhISFhYaHiImKiouMjY+QkZKTlJWWl5mam5ydnp+hoqOkpaanqKmqq6ytrq+wsbKztLW2uLm6u7y9vr/AwcLDxMXGx8jJysvMzc7P0NHS09TV1tfY2drb3N3e3+Dh4uPk5ebn6Onq6+zt7u/w8fLz9PX29/j5+vv8/f7/AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4/QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl9gYWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp8fX5/fw==',
  ],
  [
    { type: 'sigmoid' },
    { scale: 0.018236897885799408, zeroPoint: 16 },
    { scale: 0.00390625, zeroPoint: -128 },
    'kZKSkpKTk5OUlJSVlZaWlpeXl5iYmZmZmpqbm5ycnJ2dnp6fn6CgoaGioqOkpKWlpqanqKipqqqrq6ytra6vsLCxsrKztLW1tre4ubm6u7y9vr6/wMHCw8TFxsfHyMnKy8zNzs/Q0dLT1NXW19ja29zd3t/g4eLj5Obn6Onq6+zt7/Dx8vP09vf4+fr7/P7/AAECBAUGBwgJCgwNDg8QERMUFRYXGBkaHB0eHyAhIiMkJSYoKSorLC0uLzAxMjM0NTY3ODk5Ojs8PT4/QEFCQkNERUZHR0hJSktLTE1OTk9QUFFSU1NUVVVWVldYWFlaWltbXFxdXl5fX2BgYWFiYg==',
  ],
  [
    { type: 'silu' },
    { scale: 0.05160834267735481, zeroPoint: -114 },
    { scale: 0.04747171327471733, zeroPoint: -122 },
    'gYGBgoKCg4ODhISEhYWGh4eIiImKiouMjY6Oj5CRkpOUlZaXmJmam5yen6ChoqOkpaeoqaqrra6vsLGztLW2t7m6u7y9v8DBwsPExcfIycrMzc7P0NHS1NXW19jZ29zd3t/g4eLj5ebn6Onq6+zu7/Dx8vP09vf4+fr7/P3+/wABAwQFBgcICQoLDA0OEBESExQVFhcYGRobHR4fICEiIyQlJicoKissLS4vMDEyMzQ1Nzg5Ojs8PT4/QEFCREVGR0hJSktMTU5PUVJTVFVWV1hZWltcXV9gYWJjZGVmZ2hpamxtbm9wcXJzdHV2d3l6e3x9fn9/f39/f39/f39/fw==',
  ],
  [
    { type: 'hardSwish' },
    { scale: 0.024151504039764404, zeroPoint: -126 },
    { scale: 0.023625027388334274, zeroPoint: -126 },
    'gYGCg4OEhIWFhoaHiIiJiYqLi4yNjY6Pj5CRkZKTlJSVlpeXmJmam5ucnZ6foKChoqOkpaanqKmqq6ytra6vsLKztLW2t7i5uru8vb6/wcLDxMXGyMnKy8zOz9DR09TV1tjZ2tzd3uDh4uTl5ujp6+zt7/Dy8/X2+Pn7/P7/AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj9AQUJDREVGR0hJSktMTU5PUFJTVFVWV1hZWltcXV5fYGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn9/f39/fw==',
  ],
  [
    { type: 'hardSwish' },
    { scale: 0.0031121938955038786, zeroPoint: -119 },
    { scale: 0.002504808595404029, zeroPoint: -117 },
    'hYaHh4iJiYqKi4yMjY2Oj4+QkZGSk5OUlJWWlpeYmJmampucnJ2enp+goKGioqOkpKWmpqeoqKmqqqusrK2urq+wsbGys7O0tbW2t7i4ubq6u7y8vb6/v8DBwsLDxMTFxsfHyMnKysvMzc3Oz9DQ0dLT09TV1tbX2NnZ2tvc3d3e3+Dg4eLj5OTl5ufn6Onq6+vs7e7v7/Dx8vPz9PX29/f4+fr7/Pz9/v8AAQECAwQFBgYHCAkKCwsMDQ4PEBEREhMUFRYXFxgZGhscHR4eHyAhIiMkJSUmJygpKissLS0uLzAxMjM0NTY2Nzg5Ojs8PT4/QEFCQkNERUZHSElKSw==',
  ],
];

test.each(made)('the integers of LiteRT: %j of %j in %j', (activation, input, output, bytes) => {
  expect(curveTable(activation, input, output)).toEqual(Int8Array.from(Buffer.from(bytes, 'base64')));
});

/** The nearest integers to the curve itself. */
function nearest(activation: CurveActivation, input: IntegerScale, output: IntegerScale): number[] {
  const values = Float64Array.from({ length: 256 }, (_, i) => (i - 128 - input.zeroPoint) * input.scale);
  activate(values, values, activation);
  return Array.from(values, (value) => Math.min(Math.max(Math.round(value / output.scale) + output.zeroPoint, -128), 127));
}

test.each([
  [{ type: 'gelu' }, 0],
  [{ type: 'sigmoid' }, 0],
  [{ type: 'relu' }, 0],
  [{ type: 'hardSwish' }, 1],
  [{ type: 'leakyRelu', slope: 0.1 }, 1],
  // Too small a slope for XNNPACK's table of it.
  [{ type: 'leakyRelu', slope: 0.001 }, 0],
  [{ type: 'silu' }, 2],
] as const satisfies readonly (readonly [CurveActivation, number])[])(
  '%j is at most %i units from the curve',
  (activation, most) => {
    // Ranges of 2, of 12 and of 90.
    for (const scale of [0.008, 0.05, 0.35]) {
      const input = { scale: Math.fround(scale), zeroPoint: -20 };
      const isSigmoid = activation.type === 'sigmoid';
      const output = isSigmoid ? { scale: 1 / 256, zeroPoint: -128 } : { scale: Math.fround(0.7 * scale), zeroPoint: -90 };
      const expected = nearest(activation, input, output);
      const table = [...curveTable(activation, input, output)];
      expect(Math.max(...table.map((value, i) => Math.abs(value - expected[i]!)))).toBeLessThanOrEqual(most);
    }
  },
);
