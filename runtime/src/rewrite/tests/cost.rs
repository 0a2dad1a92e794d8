//! What canonicalising costs. Prints figures, judges nothing:
//! `cargo test -p p2c2r-runtime --lib -- --ignored --nocapture cost_of_nans`.

use std::time::{Duration, Instant};

use wasmtime::{Engine, Instance, Module, Store};

use super::kit::{rewritten, wat};
use crate::engine::{Metering, config};
use crate::sandbox::Runaway;

const MANDELBROT: &str = r#"(module (memory (export "memory") 1) (func (export "run")
    (local $px i32) (local $py i32) (local $cx f64) (local $cy f64) (local $x f64) (local $y f64) (local $t f64) (local $n i32)
    (local $sum i32)
    (loop $rows
        (local.set $px (i32.const 0))
        (loop $columns
            (local.set $cx (f64.sub (f64.mul (f64.convert_i32_s (local.get $px)) (f64.const 0.015)) (f64.const 2)))
            (local.set $cy (f64.sub (f64.mul (f64.convert_i32_s (local.get $py)) (f64.const 0.015)) (f64.const 1.5)))
            (local.set $x (f64.const 0)) (local.set $y (f64.const 0)) (local.set $n (i32.const 0))
            (block $out (loop $again
                (br_if $out (f64.gt (f64.add (f64.mul (local.get $x) (local.get $x)) (f64.mul (local.get $y) (local.get $y))) (f64.const 4)))
                (local.set $t (f64.add (f64.sub (f64.mul (local.get $x) (local.get $x)) (f64.mul (local.get $y) (local.get $y))) (local.get $cx)))
                (local.set $y (f64.add (f64.mul (f64.mul (local.get $x) (local.get $y)) (f64.const 2)) (local.get $cy)))
                (local.set $x (local.get $t))
                (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 300)))))
            (local.set $sum (i32.add (local.get $sum) (local.get $n)))
            (br_if $columns (i32.lt_u (local.tee $px (i32.add (local.get $px) (i32.const 1))) (i32.const 200))))
        (br_if $rows (i32.lt_u (local.tee $py (i32.add (local.get $py) (i32.const 1))) (i32.const 200))))
    (i32.store (i32.const 0) (local.get $sum))))"#;

/// 64 bodies of 8 f64 (place, 0, velocity, mass); every step loads and stores all of them.
const BODIES: &str = r#"(module (memory (export "memory") 1) (func (export "run")
    (local $i i32) (local $j i32) (local $step i32) (local $x f64) (local $y f64) (local $z f64) (local $ax f64) (local $ay f64)
    (local $az f64) (local $dx f64) (local $dy f64) (local $dz f64) (local $w f64)
    (loop $set
        (f64.store (local.get $i) (f64.mul (f64.convert_i32_s (i32.rem_u (i32.mul (local.get $i) (i32.const 7919)) (i32.const 1009))) (f64.const 0.01)))
        (br_if $set (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 8))) (i32.const 4096))))
    (loop $steps
        (local.set $i (i32.const 0))
        (loop $bodies
            (local.set $x (f64.load (local.get $i))) (local.set $y (f64.load offset=8 (local.get $i))) (local.set $z (f64.load offset=16 (local.get $i)))
            (local.set $ax (f64.const 0)) (local.set $ay (f64.const 0)) (local.set $az (f64.const 0))
            (local.set $j (i32.const 0))
            (loop $others
                (local.set $dx (f64.sub (f64.load (local.get $j)) (local.get $x)))
                (local.set $dy (f64.sub (f64.load offset=8 (local.get $j)) (local.get $y)))
                (local.set $dz (f64.sub (f64.load offset=16 (local.get $j)) (local.get $z)))
                (local.set $w (f64.add (f64.add (f64.add (f64.mul (local.get $dx) (local.get $dx)) (f64.mul (local.get $dy) (local.get $dy))) (f64.mul (local.get $dz) (local.get $dz))) (f64.const 0.01)))
                (local.set $w (f64.div (f64.load offset=56 (local.get $j)) (f64.mul (local.get $w) (f64.sqrt (local.get $w)))))
                (local.set $ax (f64.add (local.get $ax) (f64.mul (local.get $dx) (local.get $w))))
                (local.set $ay (f64.add (local.get $ay) (f64.mul (local.get $dy) (local.get $w))))
                (local.set $az (f64.add (local.get $az) (f64.mul (local.get $dz) (local.get $w))))
                (br_if $others (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 64))) (i32.const 4096))))
            (f64.store offset=32 (local.get $i) (f64.add (f64.load offset=32 (local.get $i)) (f64.mul (local.get $ax) (f64.const 0.001))))
            (f64.store offset=40 (local.get $i) (f64.add (f64.load offset=40 (local.get $i)) (f64.mul (local.get $ay) (f64.const 0.001))))
            (f64.store offset=48 (local.get $i) (f64.add (f64.load offset=48 (local.get $i)) (f64.mul (local.get $az) (f64.const 0.001))))
            (f64.store (local.get $i) (f64.add (local.get $x) (f64.mul (f64.load offset=32 (local.get $i)) (f64.const 0.001))))
            (f64.store offset=8 (local.get $i) (f64.add (local.get $y) (f64.mul (f64.load offset=40 (local.get $i)) (f64.const 0.001))))
            (f64.store offset=16 (local.get $i) (f64.add (local.get $z) (f64.mul (f64.load offset=48 (local.get $i)) (f64.const 0.001))))
            (br_if $bodies (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 64))) (i32.const 4096))))
        (br_if $steps (i32.lt_u (local.tee $step (i32.add (local.get $step) (i32.const 1))) (i32.const 200))))))"#;

/// What a store to memory costs at its dearest: one addition between each load and store.
const STORES: &str = r#"(module (memory (export "memory") 1) (func (export "run") (local $i i32) (local $n i32)
    (loop $again
        (local.set $i (i32.const 0))
        (loop $all
            (f64.store (local.get $i) (f64.add (f64.load (local.get $i)) (f64.const 1)))
            (br_if $all (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 8))) (i32.const 32768))))
        (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 2000))))))"#;

/// 128 x 128 f32, rows of four lanes.
const MATMUL: &str = r#"(module (memory (export "memory") 4) (func (export "run")
    (local $i i32) (local $j i32) (local $k i32) (local $sum v128) (local $n i32)
    (loop $again
      (local.set $i (i32.const 0))
      (loop $rows
        (local.set $j (i32.const 0))
        (loop $columns
            (local.set $sum (v128.const i32x4 0 0 0 0))
            (local.set $k (i32.const 0))
            (loop $dot
                (local.set $sum (f32x4.add (local.get $sum) (f32x4.mul
                    (v128.load32_splat (i32.add (i32.shl (local.get $i) (i32.const 9)) (i32.shl (local.get $k) (i32.const 2))))
                    (v128.load offset=65536 (i32.add (i32.shl (local.get $k) (i32.const 9)) (local.get $j))))))
                (br_if $dot (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1))) (i32.const 128))))
            (v128.store offset=131072 (i32.add (i32.shl (local.get $i) (i32.const 9)) (local.get $j)) (local.get $sum))
            (br_if $columns (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 16))) (i32.const 512))))
        (br_if $rows (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 128))))
      (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 10))))))"#;

/// Calls that recurse: what the logical stack costs.
const FIBONACCI: &str = r#"(module (memory (export "memory") 1)
    (func $fib (param i32) (result i32)
        (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
            (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
    (func (export "run") (i32.store (i32.const 0) (call $fib (i32.const 30)))))"#;

#[test]
#[ignore = "prints figures"]
fn cost_of_nans_and_stack() {
    let open = config(Metering::Plain, 2, Runaway::Killed);
    let mut closed = open.clone();
    closed.cranelift_nan_canonicalization(true);
    let (open, closed) = (Engine::new(&open).expect("an engine"), Engine::new(&closed).expect("an engine"));
    eprintln!("{:12} {:>12} {:>16} {:>12}", "", "open", "cranelift", "rewritten");
    for (name, text) in [
        ("mandelbrot", MANDELBROT),
        ("n-body", BODIES),
        ("add, store", STORES),
        ("simd matmul", MATMUL),
        ("fibonacci", FIBONACCI),
    ] {
        let wasm = wat(text);
        let rewritten = rewritten(&wasm).expect("rewritten");
        let mut times = [Duration::MAX; 3];
        for _ in 0..9 {
            for (time, (engine, wasm)) in
                times.iter_mut().zip([(&open, &*wasm), (&closed, &*wasm), (&open, &*rewritten)])
            {
                *time = time_of(engine, wasm).min(*time);
            }
        }
        let [open, cranelift, rewritten] = times;
        let ratio = |time: Duration| time.as_secs_f64() / open.as_secs_f64();
        eprintln!("{name:12} {open:>12.2?} {:>15.2}x {:>11.2}x", ratio(cranelift), ratio(rewritten));
    }
}

fn time_of(engine: &Engine, wasm: &[u8]) -> Duration {
    let module = Module::from_binary(engine, wasm).expect("compiles");
    let mut store = Store::new(engine, ());
    store.set_epoch_deadline(1);
    let instance = Instance::new(&mut store, &module, &[]).expect("instantiates");
    let run = instance.get_typed_func::<(), ()>(&mut store, "run").expect("an entry");
    let started = Instant::now();
    run.call(&mut store, ()).expect("returns");
    started.elapsed()
}
