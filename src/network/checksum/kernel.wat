;; The sum of the Internet checksum (RFC 1071). scripts/generate-checksum.ts assembles it into kernel-bytes.ts.
(module
  ;; 2 MiB, and never more: growing it would take the memory away from the buffers that lie in it.
  (memory (export "memory") 32 32)

  ;; The ones' complement sum of the 16-bit words in [at, end), in network order; the last byte of an odd number counts
  ;; as the upper half of a word. Not more than 1 MiB: a lane of 32 bits takes 32,768 sums of two words.
  ;;
  ;; Words are summed as they lie in memory, in the order of the machine; only the sum is swapped (RFC 1071, 2 (B)).
  (func (export "sum") (param $at i32) (param $end i32) (result i32)
    (local $first v128) (local $second v128) (local $total i64) (local $stop i32)

    ;; 64 bytes a turn, into two sums that do not wait for each other.
    (local.set $stop (i32.sub (local.get $end) (i32.const 63)))
    (block $done
      (loop $more
        (br_if $done (i32.ge_s (local.get $at) (local.get $stop)))
        (local.set $first (i32x4.add (local.get $first)
          (i32x4.add
            (i32x4.extadd_pairwise_i16x8_u (v128.load (local.get $at)))
            (i32x4.extadd_pairwise_i16x8_u (v128.load offset=16 (local.get $at))))))
        (local.set $second (i32x4.add (local.get $second)
          (i32x4.add
            (i32x4.extadd_pairwise_i16x8_u (v128.load offset=32 (local.get $at)))
            (i32x4.extadd_pairwise_i16x8_u (v128.load offset=48 (local.get $at))))))
        (local.set $at (i32.add (local.get $at) (i32.const 64)))
        (br $more)))

    (local.set $first (i64x2.add
      (i64x2.add
        (i64x2.extend_low_i32x4_u (local.get $first)) (i64x2.extend_high_i32x4_u (local.get $first)))
      (i64x2.add
        (i64x2.extend_low_i32x4_u (local.get $second)) (i64x2.extend_high_i32x4_u (local.get $second)))))
    (local.set $total (i64.add
      (i64x2.extract_lane 0 (local.get $first)) (i64x2.extract_lane 1 (local.get $first))))

    ;; Up to 63 bytes are left: words of 32 bits, which are two words of 16 bits to a ones' complement sum.
    (local.set $stop (i32.sub (local.get $end) (i32.const 3)))
    (block $done
      (loop $more
        (br_if $done (i32.ge_s (local.get $at) (local.get $stop)))
        (local.set $total (i64.add (local.get $total) (i64.load32_u (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (br $more)))
    (if (i32.lt_s (i32.add (local.get $at) (i32.const 1)) (local.get $end)) (then
      (local.set $total (i64.add (local.get $total) (i64.load16_u (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 2)))))
    (if (i32.lt_s (local.get $at) (local.get $end)) (then
      (local.set $total (i64.add (local.get $total) (i64.load8_u (local.get $at))))))

    ;; 64 bits to 33, to 18, to 17, to 16.
    (local.set $total (i64.add
      (i64.and (local.get $total) (i64.const 0xffffffff)) (i64.shr_u (local.get $total) (i64.const 32))))
    (local.set $total (i64.add
      (i64.and (local.get $total) (i64.const 0xffff)) (i64.shr_u (local.get $total) (i64.const 16))))
    (local.set $total (i64.add
      (i64.and (local.get $total) (i64.const 0xffff)) (i64.shr_u (local.get $total) (i64.const 16))))
    (local.set $total (i64.add
      (i64.and (local.get $total) (i64.const 0xffff)) (i64.shr_u (local.get $total) (i64.const 16))))
    (i32.or
      (i32.shl (i32.and (i32.wrap_i64 (local.get $total)) (i32.const 0xff)) (i32.const 8))
      (i32.shr_u (i32.wrap_i64 (local.get $total)) (i32.const 8)))))
