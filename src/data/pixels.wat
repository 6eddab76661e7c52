;; The loops over pixels of pixel-vectors.ts, 16 bytes at a time. After a change: npm run wasm.
(module
  (memory (export "memory") 1)

  ;; Writes a `height` x `inputWidth` plane of bytes to `target`, row after row: its row y is the row at `source` + rows[y] (32 bits each), its
  ;; column x that row's pixel columns[x] (8 bits each). A column beyond the row's `width` bytes, rounded up to 16, is 0. Columns are read
  ;; up to a multiple of 16, rows too; as many bytes are written, and the next row overwrites what is too much.
  (func (export "gather")
    (param $source i32) (param $width i32) (param $rows i32) (param $columns i32)
    (param $height i32) (param $inputWidth i32) (param $target i32)
    (local $y i32) (local $x i32) (local $start i32) (local $row i32) (local $places v128) (local $pixels v128)
    (loop $rowsOfPlane
      (local.set $row
        (i32.add (local.get $source) (i32.load (i32.add (local.get $rows) (i32.shl (local.get $y) (i32.const 2))))))
      (local.set $x (i32.const 0))
      (loop $columnsBy16
        (local.set $places (v128.load (i32.add (local.get $columns) (local.get $x))))
        (local.set $pixels (v128.const i32x4 0 0 0 0))
        (local.set $start (i32.const 0))
        ;; swizzle gives 0 for every place that is not among the 16 pixels it is given, so the parts can be joined by or.
        (loop $rowBy16
          (local.set $pixels
            (v128.or
              (local.get $pixels)
              (i8x16.swizzle
                (v128.load (i32.add (local.get $row) (local.get $start)))
                (i8x16.sub (local.get $places) (i8x16.splat (local.get $start))))))
          (local.set $start (i32.add (local.get $start) (i32.const 16)))
          (br_if $rowBy16 (i32.lt_u (local.get $start) (local.get $width))))
        (v128.store (i32.add (local.get $target) (local.get $x)) (local.get $pixels))
        (local.set $x (i32.add (local.get $x) (i32.const 16)))
        (br_if $columnsBy16 (i32.lt_u (local.get $x) (local.get $inputWidth))))
      (local.set $target (i32.add (local.get $target) (local.get $inputWidth)))
      (local.set $y (i32.add (local.get $y) (i32.const 1)))
      (br_if $rowsOfPlane (i32.lt_u (local.get $y) (local.get $height)))))

  ;; Sums `length` bytes, and their squares: four partial sums of each to `result`, 32 bits each. Reads up to a multiple of 16 bytes.
  (func (export "sums") (param $source i32) (param $length i32) (param $result i32)
    (local $end i32) (local $pixels v128) (local $sum v128) (local $squares v128)
    (local.set $end (i32.add (local.get $source) (local.get $length)))
    (loop $by16
      (local.set $pixels (v128.load (local.get $source)))
      (local.set $sum
        (i32x4.add (local.get $sum) (i32x4.extadd_pairwise_i16x8_u (i16x8.extadd_pairwise_i8x16_u (local.get $pixels)))))
      (local.set $squares
        (i32x4.add
          (local.get $squares)
          (i32x4.add
            (i32x4.extadd_pairwise_i16x8_u (i16x8.extmul_low_i8x16_u (local.get $pixels) (local.get $pixels)))
            (i32x4.extadd_pairwise_i16x8_u (i16x8.extmul_high_i8x16_u (local.get $pixels) (local.get $pixels))))))
      (local.set $source (i32.add (local.get $source) (i32.const 16)))
      (br_if $by16 (i32.lt_u (local.get $source) (local.get $end))))
    (v128.store (local.get $result) (local.get $sum))
    (v128.store (i32.add (local.get $result) (i32.const 16)) (local.get $squares)))

  ;; Writes `length` bytes to `target` as floats, times `scale` plus `shift`, both in float64. Works on up to a multiple of 4.
  (func (export "affine") (param $source i32) (param $length i32) (param $scale f64) (param $shift f64) (param $target i32)
    (local $end i32) (local $pixels v128) (local $scales v128) (local $shifts v128)
    (local.set $scales (f64x2.splat (local.get $scale)))
    (local.set $shifts (f64x2.splat (local.get $shift)))
    (local.set $end (i32.add (local.get $source) (local.get $length)))
    (loop $by4
      (local.set $pixels (i32x4.extend_low_i16x8_u (i16x8.extend_low_i8x16_u (v128.load32_zero (local.get $source)))))
      (v128.store
        (local.get $target)
        (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23
          (f32x4.demote_f64x2_zero
            (f64x2.add
              (f64x2.mul (f64x2.convert_low_i32x4_u (local.get $pixels)) (local.get $scales))
              (local.get $shifts)))
          (f32x4.demote_f64x2_zero
            (f64x2.add
              (f64x2.mul
                (f64x2.convert_low_i32x4_u
                  (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $pixels) (local.get $pixels)))
                (local.get $scales))
              (local.get $shifts)))))
      (local.set $source (i32.add (local.get $source) (i32.const 4)))
      (local.set $target (i32.add (local.get $target) (i32.const 16)))
      (br_if $by4 (i32.lt_u (local.get $source) (local.get $end))))))
