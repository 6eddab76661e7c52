/** What tensorsandbox published of its thirteen models. */

interface PublishedFigures {
  /** At 24x24 and at 32x32. */
  readonly parameters: readonly [number, number];
  /** Millions of operations, to the digits published; null where none were. */
  readonly megaOperations: readonly [string, string] | null;
}

export const published: Readonly<Record<string, PublishedFigures>> = {
  tuto: { parameters: [1_068_298, 1_756_426], megaOperations: ['37.75', '66.98'] },
  alex0: { parameters: [1_463_594, 2_495_786], megaOperations: ['25.24', '44.76'] },
  alex1: { parameters: [322_506, 408_522], megaOperations: ['43.51', '77.35'] },
  alex2: { parameters: [1_068_298, 1_756_426], megaOperations: ['37.08', '65.80'] },
  alex3: { parameters: [996_298, 1_684_426], megaOperations: ['37.60', '66.84'] },
  alex4: { parameters: [1_493_674, 2_525_866], megaOperations: ['35.20', '62.45'] },
  nin0: { parameters: [120_458, 120_458], megaOperations: ['46.21', '82.16'] },
  nin1: { parameters: [178_890, 178_890], megaOperations: ['69.33', '123.25'] },
  nin2: { parameters: [966_986, 966_986], megaOperations: ['251.36', '446.87'] },
  squeeze0: { parameters: [122_986, 122_986], megaOperations: ['16.04', '28.51'] },
  squeeze1: { parameters: [146_570, 146_570], megaOperations: ['22.84', '40.60'] },
  convone: { parameters: [995_658, 1_683_786], megaOperations: null },
  cs231n: { parameters: [4_615_302, 8_199_302], megaOperations: ['11.66', '20.72'] },
};
