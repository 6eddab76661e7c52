;; The loops of kernels.ts. After a change: npm run wasm.
(module
  (memory (export "memory") 1)

  ;; One row of a convolution, eight products at a time. Pixel p of it reads `rows` runs of 8 * `vectors` integers, of which run r begins at
  ;; `input` + p * `pixelStep` + r * `rowStep`. Filters come in fours: their weights lie at `weights` by four, run, vector, filter.
  ;; The sum of pixel p and filter f (32 bits) goes to `output` + 4 * (p * `filters` + f). Pixels go in pairs: one more may be read and written.
  ;; Addresses and steps are in bytes.
  (func (export "row")
    (param $input i32) (param $pixelStep i32) (param $rows i32) (param $rowStep i32) (param $vectors i32) (param $pixels i32)
    (param $weights i32) (param $filters i32) (param $output i32)
    (local $pixel i32) (local $filter i32) (local $r i32) (local $v i32) (local $w i32)
    (local $runA i32) (local $runB i32) (local $a i32) (local $b i32) (local $target i32)
    (local $x v128) (local $y v128) (local $k v128)
    (local $x0 v128) (local $x1 v128) (local $x2 v128) (local $x3 v128)
    (local $y0 v128) (local $y1 v128) (local $y2 v128) (local $y3 v128)
    (loop $byTwoPixels
      (local.set $w (local.get $weights))
      (local.set $filter (i32.const 0))
      (loop $byFourFilters
        (local.set $x0 (v128.const i32x4 0 0 0 0))
        (local.set $x1 (v128.const i32x4 0 0 0 0))
        (local.set $x2 (v128.const i32x4 0 0 0 0))
        (local.set $x3 (v128.const i32x4 0 0 0 0))
        (local.set $y0 (v128.const i32x4 0 0 0 0))
        (local.set $y1 (v128.const i32x4 0 0 0 0))
        (local.set $y2 (v128.const i32x4 0 0 0 0))
        (local.set $y3 (v128.const i32x4 0 0 0 0))
        (local.set $runA (local.get $input))
        (local.set $runB (i32.add (local.get $input) (local.get $pixelStep)))
        (local.set $r (local.get $rows))
        (loop $runs
          (local.set $a (local.get $runA))
          (local.set $b (local.get $runB))
          (local.set $v (local.get $vectors))
          (loop $byEight
            (local.set $x (v128.load (local.get $a)))
            (local.set $y (v128.load (local.get $b)))
            (local.set $k (v128.load (local.get $w)))
            (local.set $x0 (i32x4.add (local.get $x0) (i32x4.dot_i16x8_s (local.get $x) (local.get $k))))
            (local.set $y0 (i32x4.add (local.get $y0) (i32x4.dot_i16x8_s (local.get $y) (local.get $k))))
            (local.set $k (v128.load offset=16 (local.get $w)))
            (local.set $x1 (i32x4.add (local.get $x1) (i32x4.dot_i16x8_s (local.get $x) (local.get $k))))
            (local.set $y1 (i32x4.add (local.get $y1) (i32x4.dot_i16x8_s (local.get $y) (local.get $k))))
            (local.set $k (v128.load offset=32 (local.get $w)))
            (local.set $x2 (i32x4.add (local.get $x2) (i32x4.dot_i16x8_s (local.get $x) (local.get $k))))
            (local.set $y2 (i32x4.add (local.get $y2) (i32x4.dot_i16x8_s (local.get $y) (local.get $k))))
            (local.set $k (v128.load offset=48 (local.get $w)))
            (local.set $x3 (i32x4.add (local.get $x3) (i32x4.dot_i16x8_s (local.get $x) (local.get $k))))
            (local.set $y3 (i32x4.add (local.get $y3) (i32x4.dot_i16x8_s (local.get $y) (local.get $k))))
            (local.set $a (i32.add (local.get $a) (i32.const 16)))
            (local.set $b (i32.add (local.get $b) (i32.const 16)))
            (local.set $w (i32.add (local.get $w) (i32.const 64)))
            (local.set $v (i32.sub (local.get $v) (i32.const 1)))
            (br_if $byEight (local.get $v)))
          (local.set $runA (i32.add (local.get $runA) (local.get $rowStep)))
          (local.set $runB (i32.add (local.get $runB) (local.get $rowStep)))
          (local.set $r (i32.sub (local.get $r) (i32.const 1)))
          (br_if $runs (local.get $r)))
        (local.set $target (i32.add (local.get $output) (i32.shl (local.get $filter) (i32.const 2))))
        (v128.store (local.get $target) (call $sums (local.get $x0) (local.get $x1) (local.get $x2) (local.get $x3)))
        (local.set $target (i32.add (local.get $target) (i32.shl (local.get $filters) (i32.const 2))))
        (v128.store (local.get $target) (call $sums (local.get $y0) (local.get $y1) (local.get $y2) (local.get $y3)))
        (local.set $filter (i32.add (local.get $filter) (i32.const 4)))
        (br_if $byFourFilters (i32.lt_u (local.get $filter) (local.get $filters))))
      (local.set $input (i32.add (local.get $input) (i32.shl (local.get $pixelStep) (i32.const 1))))
      (local.set $output (i32.add (local.get $output) (i32.shl (local.get $filters) (i32.const 3))))
      (local.set $pixel (i32.add (local.get $pixel) (i32.const 2)))
      (br_if $byTwoPixels (i32.lt_u (local.get $pixel) (local.get $pixels)))))

  ;; Of each of `pixels` with `filters` sums of 32 bits, `stride` bytes from pixel to pixel, the activations, 16 bits each, without gaps, kept between
  ;; `low` and `high`: the sum and the filter's bias (32 bits, at `biases`) times its factor (a float32, at `factors`), to the nearest integer, of two
  ;; the even one. Four filters at a time; up to three sums, biases and factors more are read.
  (func (export "finish")
    (param $sums i32) (param $pixels i32) (param $stride i32) (param $filters i32) (param $biases i32) (param $factors i32) (param $low i32)
    (param $high i32) (param $output i32)
    (local $filter i32) (local $place i32) (local $values v128)
    (loop $eachPixel
      (local.set $place (i32.const 0))
      (local.set $filter (local.get $filters))
      (loop $byFourFilters
        (local.set $values
          (i32x4.trunc_sat_f32x4_s
            (f32x4.nearest
              (f32x4.mul
                (f32x4.convert_i32x4_s
                  (i32x4.add
                    (v128.load (i32.add (local.get $sums) (local.get $place)))
                    (v128.load (i32.add (local.get $biases) (local.get $place)))))
                (v128.load (i32.add (local.get $factors) (local.get $place)))))))
        (local.set $values (i32x4.max_s (local.get $values) (i32x4.splat (local.get $low))))
        (local.set $values (i32x4.min_s (local.get $values) (i32x4.splat (local.get $high))))
        (local.set $values (i16x8.narrow_i32x4_s (local.get $values) (local.get $values)))
        (if (i32.ge_u (local.get $filter) (i32.const 4))
          (then
            (v128.store64_lane 0 (local.get $output) (local.get $values))
            (local.set $output (i32.add (local.get $output) (i32.const 8)))
            (local.set $place (i32.add (local.get $place) (i32.const 16)))
            (local.set $filter (i32.sub (local.get $filter) (i32.const 4)))
            (br_if $byFourFilters (local.get $filter)))
          (else
            ;; What lies behind the last is not ours.
            (loop $rest
              (v128.store16_lane 0 (local.get $output) (local.get $values))
              (local.set $values (i64x2.shr_u (local.get $values) (i32.const 16)))
              (local.set $output (i32.add (local.get $output) (i32.const 2)))
              (local.set $filter (i32.sub (local.get $filter) (i32.const 1)))
              (br_if $rest (local.get $filter))))))
      (local.set $sums (i32.add (local.get $sums) (local.get $stride)))
      (local.set $pixels (i32.sub (local.get $pixels) (i32.const 1)))
      (br_if $eachPixel (local.get $pixels))))

  ;; Adds `count` activations of two tensors, 16 bits each, times their multipliers, and writes the sums over 2^shift, rounded to the nearest.
  (func (export "add")
    (param $a i32) (param $b i32) (param $count i32) (param $aMultiplier i32) (param $bMultiplier i32) (param $shift i32) (param $low i32)
    (param $high i32) (param $output i32)
    (local $value i32) (local $half i32)
    (local.set $half (i32.shl (i32.const 1) (i32.sub (local.get $shift) (i32.const 1))))
    (loop $each
      (local.set $value
        (i32.shr_s
          (i32.add
            (i32.add
              (i32.mul (i32.load16_s (local.get $a)) (local.get $aMultiplier))
              (i32.mul (i32.load16_s (local.get $b)) (local.get $bMultiplier)))
            (local.get $half))
          (local.get $shift)))
      (i32.store16 (local.get $output) (call $between (local.get $value) (local.get $low) (local.get $high)))
      (local.set $a (i32.add (local.get $a) (i32.const 2)))
      (local.set $b (i32.add (local.get $b) (i32.const 2)))
      (local.set $output (i32.add (local.get $output) (i32.const 2)))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br_if $each (local.get $count))))

  ;; The largest of `rows` x `columns` pixels of `channels` activations, 16 bits each: pixels follow one another, rows begin `rowStep` bytes apart.
  (func (export "largest")
    (param $input i32) (param $rows i32) (param $rowStep i32) (param $columns i32) (param $channels i32) (param $output i32)
    (local $c i32) (local $r i32) (local $x i32) (local $run i32) (local $pixel i32) (local $most v128) (local $value i32) (local $one i32)
    (local.set $c (local.get $channels))
    (loop $eachGroup
      (local.set $most (v128.const i16x8 -256 -256 -256 -256 -256 -256 -256 -256))
      (local.set $value (i32.const -256))
      (local.set $run (local.get $input))
      (local.set $r (local.get $rows))
      (loop $eachRow
        (local.set $pixel (local.get $run))
        (local.set $x (local.get $columns))
        (loop $eachPixel
          (if (i32.ge_u (local.get $c) (i32.const 8))
            (then (local.set $most (i16x8.max_s (local.get $most) (v128.load (local.get $pixel)))))
            (else
              (local.set $one (i32.load16_s (local.get $pixel)))
              (local.set $value (select (local.get $one) (local.get $value) (i32.gt_s (local.get $one) (local.get $value))))))
          (local.set $pixel (i32.add (local.get $pixel) (i32.shl (local.get $channels) (i32.const 1))))
          (local.set $x (i32.sub (local.get $x) (i32.const 1)))
          (br_if $eachPixel (local.get $x)))
        (local.set $run (i32.add (local.get $run) (local.get $rowStep)))
        (local.set $r (i32.sub (local.get $r) (i32.const 1)))
        (br_if $eachRow (local.get $r)))
      (if (i32.ge_u (local.get $c) (i32.const 8))
        (then
          (v128.store (local.get $output) (local.get $most))
          (local.set $input (i32.add (local.get $input) (i32.const 16)))
          (local.set $output (i32.add (local.get $output) (i32.const 16)))
          (local.set $c (i32.sub (local.get $c) (i32.const 8))))
        (else
          (i32.store16 (local.get $output) (local.get $value))
          (local.set $input (i32.add (local.get $input) (i32.const 2)))
          (local.set $output (i32.add (local.get $output) (i32.const 2)))
          (local.set $c (i32.sub (local.get $c) (i32.const 1)))))
      (br_if $eachGroup (local.get $c))))

  (func $between (param $value i32) (param $low i32) (param $high i32) (result i32)
    (local.set $value (select (local.get $low) (local.get $value) (i32.lt_s (local.get $value) (local.get $low))))
    (select (local.get $high) (local.get $value) (i32.gt_s (local.get $value) (local.get $high))))

  ;; The sums of the four lanes of each.
  (func $sums (param $a v128) (param $b v128) (param $c v128) (param $d v128) (result v128)
    (local $ab v128) (local $cd v128)
    (local.set $ab
      (i32x4.add
        (i8x16.shuffle 0 1 2 3 16 17 18 19 8 9 10 11 24 25 26 27 (local.get $a) (local.get $b))
        (i8x16.shuffle 4 5 6 7 20 21 22 23 12 13 14 15 28 29 30 31 (local.get $a) (local.get $b))))
    (local.set $cd
      (i32x4.add
        (i8x16.shuffle 0 1 2 3 16 17 18 19 8 9 10 11 24 25 26 27 (local.get $c) (local.get $d))
        (i8x16.shuffle 4 5 6 7 20 21 22 23 12 13 14 15 28 29 30 31 (local.get $c) (local.get $d))))
    (i32x4.add
      (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 (local.get $ab) (local.get $cd))
      (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31 (local.get $ab) (local.get $cd)))))
