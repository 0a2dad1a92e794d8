//! Other rules of verification, from their published descriptions: no network, no time, replicas drawn at random from all
//! peers, an absent answer replaced at once.

use std::collections::BTreeMap;

use crate::attack::{Act, Attack, Mind};
use crate::dice::Dice;
use crate::report::{PRICE, Report, Tallies, WORK_COST};
use crate::world::Settings;

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// Three executions of every task, the majority is right.
    TwoOfThree,
    /// BOINC's adaptive replication (`sched_send.cpp` `set_trust`, `validator.cpp`; c5c6cb79): a host with 10 consecutive
    /// valid results runs alone with probability `1 - 1 / consecutive`; else two must agree, further ones until they do.
    /// Only replicated results count; an invalid one sets the count to 0. Its daily quota is not modelled.
    Adaptive,
}

/// Consecutive valid results before BOINC trusts a host.
const TRUSTED: u64 = 10;
/// Executions after which a task without two equal results is given up.
const MOST: usize = 6;
/// A cheat against BOINC knows the rule: it is honest for as many replicated results as make it trusted, and as a trusted
/// host of 10 is checked in one of ten tasks, it goes on lying until it is.
const TRUSTED_AFTER: u64 = TRUSTED;

struct Peer {
    mind: Mind,
    consecutive: u64,
    margin: i128,
    punished: bool,
}

struct Answer {
    peer: usize,
    act: Act,
    /// Equal answers have equal numbers.
    value: u64,
}

/// Plays the rule against the attack of `settings`; their own rule is not looked at.
#[must_use]
pub fn run(model: Model, settings: &Settings) -> Report {
    let mut dice = Dice::new(settings.seed);
    let attackers = settings.attackers();
    let mut peers: Vec<Peer> = (0..settings.peers)
        .map(|id| Peer { mind: Mind::new(settings.attack_of(id)), consecutive: 0, margin: 0, punished: false })
        .collect();
    let mut tallies = Tallies::default();
    let tasks = settings.peers as u64 * settings.tasks_per_peer;
    let (mut executions, mut settled) = (0, 0);
    for n in 0..tasks {
        let made = task(model, &mut peers, &mut tallies, &mut dice);
        if n * 2 >= tasks {
            (executions, settled) = (executions + made.0, settled + u64::from(made.1));
        }
    }
    tallies.wrong_never_withdrawn = tallies.wrong_confirmed_window;
    for (id, peer) in peers.iter().enumerate() {
        tallies.peer(id < attackers, peer.margin, peer.punished || peer.margin < 0);
    }
    let name = match model {
        Model::TwoOfThree => "2-of-3",
        Model::Adaptive => "BOINC",
    };
    Report::new(name, settings.attack, attackers, settings.peers, &tallies, executions, settled)
}

/// One task; its executions, and whether it came to an end.
fn task(model: Model, peers: &mut [Peer], tallies: &mut Tallies, dice: &mut Dice) -> (u64, bool) {
    let mut order = Vec::with_capacity(MOST);
    while order.len() < MOST.min(peers.len()) {
        let peer = usize::try_from(dice.below(peers.len() as u64)).unwrap_or(0);
        if !order.contains(&peer) {
            order.push(peer);
        }
    }
    let alone = model == Model::Adaptive && {
        let trusted = order.first().and_then(|&first| peers.get(first)).map_or(0, |peer| peer.consecutive);
        trusted >= TRUSTED && !dice.chance(1_000_000 / trusted)
    };
    let first_round = match model {
        Model::TwoOfThree => 3,
        Model::Adaptive => 2,
    };
    let ring = order.iter().take(first_round).filter(|&&p| peers[p].mind.attack == Attack::Ring).count();
    let partner = !alone && ring > 1;
    let mut answers: Vec<Answer> = Vec::new();
    let mut executions = 0;
    for &id in &order {
        let peer = &mut peers[id];
        let act = peer.mind.act(TRUSTED_AFTER, partner, dice);
        executions += 1;
        if act.works() {
            peer.margin -= i128::from(WORK_COST);
        }
        let value = match act {
            Act::Right | Act::RightLate => 1,
            Act::WrongTogether => 2,
            Act::WrongAlone | Act::Differs => 3 + dice.below(u64::MAX - 3),
            Act::Nothing => continue,
        };
        if answers.is_empty() {
            tallies.wrong_provisional += u64::from(value != 1);
        }
        answers.push(Answer { peer: id, act, value });
        let enough = alone || (answers.len() >= first_round && winner(&answers).is_some());
        if enough {
            break;
        }
    }
    let accepted = if alone { answers.first().map(|a| a.value) } else { winner(&answers) };
    let Some(accepted) = accepted else { return (executions, false) };
    settle(model, alone, accepted, &answers, peers);
    let wrong = u64::from(accepted != 1);
    if alone {
        tallies.on_window += 1;
        tallies.wrong_confirmed_window += wrong;
    } else {
        tallies.on_quorum += 1;
        tallies.wrong_on_quorum += wrong;
    }
    (executions, true)
}

/// The value two answers have in common.
fn winner(answers: &[Answer]) -> Option<u64> {
    let mut counts: BTreeMap<u64, u32> = BTreeMap::new();
    for answer in answers {
        *counts.entry(answer.value).or_insert(0) += 1;
    }
    counts.into_iter().find(|&(_, count)| count >= 2).map(|(value, _)| value)
}

/// Pays 75 % of what the client pays in equal parts to the accepted: three executions for 2-of-3, one for BOINC's rule.
fn settle(model: Model, alone: bool, accepted: u64, answers: &[Answer], peers: &mut [Peer]) {
    let price = match model {
        Model::TwoOfThree => 3 * PRICE,
        Model::Adaptive => PRICE,
    };
    let agreed = answers.iter().filter(|a| a.value == accepted).count() as u64;
    for answer in answers {
        let peer = &mut peers[answer.peer];
        if answer.value == accepted {
            peer.margin += i128::from((price * 75 / 100).checked_div(agreed).unwrap_or(0));
            peer.consecutive += u64::from(!alone);
        } else {
            peer.consecutive = 0;
            peer.mind.caught();
            peer.punished |= answer.act.works();
        }
    }
}
