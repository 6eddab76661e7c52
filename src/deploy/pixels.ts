/** Stored images `[count, 3, H, W]` as the `[count, H, W, 3]` that a frozen file takes. */
export function toInterleaved(planar: Uint8Array, count: number, height: number, width: number): Uint8Array {
  const planeLength = height * width;
  const interleaved = new Uint8Array(count * 3 * planeLength);
  for (let image = 0; image < count; image++) {
    const start = image * 3 * planeLength;
    for (let pixel = 0; pixel < planeLength; pixel++) {
      const target = start + 3 * pixel;
      interleaved[target] = planar[start + pixel]!;
      interleaved[target + 1] = planar[start + planeLength + pixel]!;
      interleaved[target + 2] = planar[start + 2 * planeLength + pixel]!;
    }
  }
  return interleaved;
}
