//! The suite's verdict, with answers that an adapter might give: right ones, but for one.

use std::cell::Cell;
use std::sync::LazyLock;

use super::*;

/// What is left of an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// All of it.
    Everything,
    /// All of it, in another numeric class.
    OtherClass,
    /// Its floats, in another numeric class.
    DeviceOnly,
    /// What has no floats.
    ExactOnly,
    /// It is not used.
    Nothing,
}

use Left::{DeviceOnly, Everything, ExactOnly, Nothing, OtherClass};

/// What is asked, in this order, and what an adapter is left with that has one bit of the answer wrong, or traps where it should not
/// or the other way round.
const QUESTIONS: [(&str, Left, Left); 18] = [
    ("integers", Nothing, Nothing),
    ("corners", Nothing, Nothing),
    ("bounds", Nothing, Nothing),
    ("barriers and scan", Nothing, Nothing),
    ("atomics", Nothing, Nothing),
    ("zeroed memory", Nothing, Nothing),
    ("zeroed memory", Nothing, Nothing),
    ("large buffer", Nothing, Nothing),
    ("loops", Nothing, Nothing),
    // A dispatch that traps leaves nothing that anybody sees.
    ("loops", Everything, Nothing),
    ("loops", Everything, Nothing),
    ("loops", Everything, Nothing),
    // These have no budget that they could use up.
    ("floats", ExactOnly, Everything),
    ("floats", ExactOnly, Everything),
    ("long loop", OtherClass, Everything),
    ("loops in turns", DeviceOnly, Nothing),
    ("loops in uneven workgroups", DeviceOnly, Nothing),
    ("loops with several exits", DeviceOnly, DeviceOnly),
];

/// Answers as an adapter does that gets everything right, with floats that round to nearest.
fn right(question: &Question<'_>) -> Answer {
    static EXACT: LazyLock<Vec<Probe>> = LazyLock::new(exact::probes);
    let name = question.shader.name();
    if let Some(probe) = EXACT.iter().find(|probe| probe.name == name) {
        return (probe.output.iter().map(|(_, after)| after.clone()).collect(), false);
    }
    let (words, trapped) = match (name, question.input) {
        ("loops", input) => (input.to_vec(), input[0] >= LOOP_FUEL || input[1] >= LOOP_ROUNDS),
        ("floats", input) => {
            (input.chunks_exact(2).flat_map(|pair| float::tests::words([pair[0], pair[1]])).collect(), false)
        }
        ("long loop", input) => (input.to_vec(), false),
        ("loops in turns", [_, turn]) => (vec![*turn; 64], false),
        ("loops in uneven workgroups", _) => (vec![2 + 3 + 9 * 10; 12], false),
        (EXITS, _) => (vec![4; 16], false),
        _ => panic!("{name:?} is not known"),
    };
    (vec![words], trapped)
}

/// What the suite makes of right answers that `spoil` may change, by the number of the question.
fn judged(spoil: impl Fn(usize, &mut Answer)) -> Result<Probed, GpuOpenError> {
    let asked = Cell::new(0);
    judge("double", &|question| {
        let at = asked.replace(asked.get() + 1);
        assert_eq!(question.shader.name(), QUESTIONS[at].0);
        let mut answer = right(question);
        spoil(at, &mut answer);
        Ok(answer)
    })
    .inspect(|_| assert_eq!(asked.get(), QUESTIONS.len(), "not everything is asked"))
}

fn left(judged: &Result<Probed, GpuOpenError>, right: &Probed) -> Left {
    let Ok(probed) = judged else { return Nothing };
    match (probed.unfit_loops.as_slice(), &probed.floats, probed.words == right.words) {
        ([], Ok(()), true) => Everything,
        ([], Ok(()), false) => OtherClass,
        ([_], Ok(()), false) => DeviceOnly,
        ([], Err(_), _) => ExactOnly,
        odd => panic!("{odd:?}"),
    }
}

#[test]
fn who_answers_right_may_vote_on_everything() {
    let probed = judged(|_, _| {}).unwrap();
    assert_eq!(probed.unfit_loops, Vec::<String>::new());
    assert_eq!(probed.floats, Ok(()));
    assert!(probed.long_loops);
}

#[test]
fn every_wrong_answer_costs_what_it_must() {
    let right = judged(|_, _| {}).unwrap();
    let bits: [fn(&mut Answer); 2] =
        [|(buffers, _)| buffers[0][0] ^= 1, |(buffers, _)| *buffers.last_mut().unwrap().last_mut().unwrap() ^= 1 << 31];
    for (wrong, (name, wrong_bit, wrong_trap)) in QUESTIONS.into_iter().enumerate() {
        let flip: fn(&mut Answer) = |(_, trapped)| *trapped = !*trapped;
        for (spoil, want) in bits.map(|bit| (bit, wrong_bit)).into_iter().chain([(flip, wrong_trap)]) {
            let judged = judged(|at, answer| {
                if at == wrong {
                    spoil(answer)
                }
            });
            assert_eq!(left(&judged, &right), want, "{name}, question {wrong}");
            match judged {
                Err(GpuOpenError::WrongAnswer { adapter, test, .. }) => {
                    assert_eq!(adapter, "double");
                    assert!(test == name || (name, test) == ("loops", "loop budget"), "{name} is said to be {test}");
                }
                Err(other) => panic!("{name}: {other}"),
                Ok(probed) => assert_eq!(probed.long_loops, name != "long loop" || want == Everything),
            }
        }
    }
}

#[test]
fn floats_that_are_wrong_every_time_are_not_for_device() {
    let probed = judged(|at, (buffers, _)| {
        if QUESTIONS[at].0 == "floats" {
            buffers[0][0] ^= 1 << 22
        }
    })
    .unwrap();
    assert!(probed.floats.unwrap_err().starts_with("addition"));
    assert_eq!(probed.unfit_loops, Vec::<String>::new());
}

#[test]
fn an_adapter_that_fails_a_question_is_not_used() {
    for failing in 0..QUESTIONS.len() {
        let asked = Cell::new(0);
        let judged = judge("double", &|question| match asked.replace(asked.get() + 1) {
            at if at == failing => Err(GpuFault::Deadline),
            _ => Ok(right(question)),
        });
        let fault = judged.map(drop).unwrap_err();
        assert!(matches!(&fault, GpuOpenError::Probe { adapter, fault: GpuFault::Deadline } if adapter == "double"));
        assert_eq!(asked.get(), failing + 1);
    }
}

#[test]
fn one_wrong_bit_in_any_word_is_found() {
    for probe in exact::probes() {
        for (_, want) in &probe.output {
            assert_eq!(compare(want, want), Ok(()));
            let mut got = want.clone();
            for word in (0..want.len()).step_by(want.len() / 64 + 1) {
                got[word] ^= 1 << (word % 32);
                let wrong = compare(&got, want).unwrap_err();
                assert_eq!((wrong.word, wrong.want), (word, want[word]), "{}", probe.name);
                got[word] = want[word];
            }
        }
    }
}
