//! What a kernel may look like, and what bad input becomes.

use p2c2r_guest::failure::code;
use p2c2r_guest::testing::{Outcome, Report, run};
use p2c2r_guest::{Context, Failure, Kernel, Postcard, encode, kernel};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Question {
    name: String,
    numbers: Vec<u64>,
    deep: Option<Box<(u8, [i16; 3])>>,
}

fn question() -> Question {
    Question { name: "ä".into(), numbers: vec![0, 1, u64::MAX], deep: Some(Box::new((7, [-1, 0, 1]))) }
}

#[kernel]
fn echo(Postcard(input): Postcard<Question>) -> Postcard<Question> {
    Postcard(input)
}

fn check<Shape>(kernel: impl Kernel<Shape>, input: &[u8], outcome: Outcome, output: &[u8]) -> Report {
    let report = run(kernel, input);
    assert_eq!((&report.outcome, report.output.as_slice()), (&outcome, output), "{report:?}");
    report
}

#[test]
fn every_shape_runs() {
    check(|| (), b"", Outcome::Output, b"");
    check(|| vec![1u8], b"", Outcome::Output, &[1]);
    check(|bytes: &[u8]| bytes.to_vec(), b"raw", Outcome::Output, b"raw");
    check(|bytes: Vec<u8>| bytes, b"raw", Outcome::Output, b"raw");
    check(|ctx: &mut Context| ctx.input(), b"raw", Outcome::Output, b"raw");
    check(|_: &mut Context, bytes: &[u8]| bytes.to_vec(), b"raw", Outcome::Output, b"raw");
    check(|_: &mut Context, Postcard(n): Postcard<u8>| Postcard(n + 1), &[4], Outcome::Output, &[5]);
    let fails = |bytes: &[u8]| if bytes.is_empty() { Err(Failure::new(3, "empty")) } else { Ok(()) };
    check(fails, b"", Outcome::Failed(3), b"empty");
    check(fails, b"x", Outcome::Output, b"");
}

#[test]
fn typed_values_survive_the_round_trip() {
    let report = run(echo, encode(Postcard(question())).unwrap());
    assert_eq!(report.output_as::<Postcard<Question>>().unwrap().0, question());
}

#[test]
fn bad_input_is_a_failure_not_a_panic() {
    let good = encode(Postcard(question())).unwrap();
    for end in 0..good.len() {
        let report = run(echo, &good[..end]);
        assert_eq!(report.outcome, Outcome::Failed(code::BAD_INPUT), "{end} bytes: {report:?}");
        assert!(report.message().contains(&format!("{end} bytes of input do not decode")), "{}", report.message());
        assert_eq!(report.log.len(), 1, "the failure is logged once");
    }
    let mut long = good.clone();
    long.push(0);
    let rest = format!("1 bytes of input left over after the first {}", good.len());
    check(echo, &long, Outcome::Failed(code::BAD_INPUT), rest.as_bytes());
    check(|| (), b"x", Outcome::Failed(code::BAD_INPUT), b"1 bytes of input where none are taken");
}

#[test]
fn lying_lengths_allocate_nothing_to_speak_of() {
    // A postcard length prefix of 2^63 for a vector of u64, and no elements.
    let lie = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let report = run(|Postcard(v): Postcard<Vec<u64>>| Postcard(v.len() as u64), lie);
    assert_eq!(report.outcome, Outcome::Failed(code::BAD_INPUT), "{report:?}");
}
