//! Other rules of verification, from their published descriptions: no network, no time, replicas drawn at random from all
//! peers, an absent answer replaced at once.

use std::collections::BTreeMap;

use crate::attack::{Act, Mind};
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
    /// iExec's proof of contribution (`IexecPoco2Delegate.sol`, 6d354e2e: `contribute`, `checkConsensus`, `distributeRewards`) with a
    /// trust of 100, that is, 99 % confidence. A peer weighs `max(score / 3, 3) - 1`; a result counts the product of the weights
    /// of those that gave it, against 1 and what all results count. One more peer is asked until that is enough. A right
    /// result of several peers adds 1 to the score, a wrong one costs a third of it and the stake, which is 30 % of the price as a pool
    /// has it from the start (`Workerpool.sol`). Pay and lost stakes are divided by the binary logarithm of the weights.
    Weighted,
}

/// Consecutive valid results before BOINC trusts a host.
const TRUSTED: u64 = 10;
/// iExec's confidence, as the quotient of what may be wrong.
const CONFIDENCE: u128 = 100;
/// Percent of the price a worker of iExec stakes.
const STAKE_PERCENT: u64 = 30;

impl Model {
    /// As the table calls it.
    const fn name(self) -> &'static str {
        match self {
            Self::TwoOfThree => "2-of-3",
            Self::Adaptive => "BOINC",
            Self::Weighted => "iExec",
        }
    }

    /// Executions before anything is decided.
    const fn first_round(self) -> usize {
        match self {
            Self::TwoOfThree => 3,
            Self::Adaptive => 2,
            Self::Weighted => 1,
        }
    }

    /// Executions after which a task without a decision is given up. iExec's newcomers need 7 that agree.
    const fn most(self) -> usize {
        match self {
            Self::TwoOfThree | Self::Adaptive => 6,
            Self::Weighted => 12,
        }
    }

    /// What a client pays: all three executions, or one; with iExec what established peers need at most.
    const fn price(self) -> u64 {
        match self {
            Self::TwoOfThree | Self::Weighted => 3 * PRICE,
            Self::Adaptive => PRICE,
        }
    }

    /// A cheat knows the rule: it is honest for as many results as make it trusted. A host of BOINC's with 10 is checked in one of ten
    /// tasks and goes on lying until it is; one of iExec's that weighs more than 99 decides alone, and is never checked where it is
    /// asked first.
    const fn trusted_after(self) -> u64 {
        match self {
            Self::TwoOfThree | Self::Adaptive => TRUSTED,
            Self::Weighted => 3 * (CONFIDENCE as u64 + 1),
        }
    }
}

struct Peer {
    mind: Mind,
    /// What the rule counts in its favour.
    score: u64,
    margin: i128,
    punished: bool,
}

struct Answer {
    peer: usize,
    act: Act,
    /// Equal answers have equal numbers.
    value: u64,
    weight: u64,
}

/// Plays the rule against the attack of `settings`; their own rule is not looked at.
#[must_use]
pub fn run(model: Model, settings: &Settings) -> Report {
    let mut dice = Dice::new(settings.seed);
    let attackers = settings.attackers();
    let mut peers: Vec<Peer> = (0..settings.peers)
        .map(|id| Peer { mind: Mind::new(settings.attack_of(id)), score: 0, margin: 0, punished: false })
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
    Report::new(model.name(), settings.attack, attackers, settings.peers, &tallies, executions, settled)
}

/// One task; its executions, and whether it came to an end.
fn task(model: Model, peers: &mut [Peer], tallies: &mut Tallies, dice: &mut Dice) -> (u64, bool) {
    let most = model.most().min(peers.len());
    let mut order = Vec::with_capacity(most);
    while order.len() < most {
        let peer = usize::try_from(dice.below(peers.len() as u64)).unwrap_or(0);
        if !order.contains(&peer) {
            order.push(peer);
        }
    }
    let alone = model == Model::Adaptive && {
        let trusted = order.first().and_then(|&first| peers.get(first)).map_or(0, |peer| peer.score);
        trusted >= TRUSTED && !dice.chance(1_000_000 / trusted)
    };
    let ring = order.iter().take(model.first_round().max(2)).filter(|&&p| peers[p].mind.attack.is_ring()).count();
    let partner = !alone && ring > 1;
    let mut answers: Vec<Answer> = Vec::new();
    let mut executions = 0;
    for &id in &order {
        let peer = &mut peers[id];
        let act = peer.mind.act(model.trusted_after(), partner, dice);
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
        answers.push(Answer { peer: id, act, value, weight: (peer.score / 3).max(3) - 1 });
        if alone || (answers.len() >= model.first_round() && winner(model, &answers).is_some()) {
            break;
        }
    }
    let accepted = if alone { answers.first().map(|a| a.value) } else { winner(model, &answers) };
    let Some(accepted) = accepted else { return (executions, false) };
    settle(model, accepted, &answers, peers);
    let wrong = u64::from(accepted != 1);
    if answers.len() == 1 {
        tallies.on_window += 1;
        tallies.wrong_confirmed_window += wrong;
    } else {
        tallies.on_quorum += 1;
        tallies.wrong_on_quorum += wrong;
    }
    (executions, true)
}

/// The value that is accepted, if one is: with weights the one that counts enough, else the one two answers have in common.
fn winner(model: Model, answers: &[Answer]) -> Option<u64> {
    // How many gave it, and the product of their weights: at most 12 of 64 bits each, so it stays where it is at the top.
    let mut groups: BTreeMap<u64, (u32, u128)> = BTreeMap::new();
    for answer in answers {
        let (count, product) = groups.entry(answer.value).or_insert((0, 1));
        (*count, *product) = (*count + 1, product.saturating_mul(answer.weight.into()).min(1 << 96));
    }
    let total = groups.values().fold(1, |total: u128, (_, product)| total + product);
    let wins = |&(_, (count, product)): &(u64, (u32, u128))| match model {
        Model::TwoOfThree | Model::Adaptive => count >= 2,
        Model::Weighted => product * CONFIDENCE > total * (CONFIDENCE - 1),
    };
    groups.into_iter().find(wins).map(|(value, _)| value)
}

/// Pays 75 % of what the client pays to the accepted, in equal parts or by their weights, and what the others lose.
fn settle(model: Model, accepted: u64, answers: &[Answer], peers: &mut [Peer]) {
    let (stake, part): (u64, fn(&Answer) -> u64) = match model {
        Model::TwoOfThree | Model::Adaptive => (0, |_| 1),
        Model::Weighted => (model.price() * STAKE_PERCENT / 100, |a| u64::from(a.weight.max(2).ilog2())),
    };
    let (right, wrong): (Vec<&Answer>, Vec<&Answer>) = answers.iter().partition(|a| a.value == accepted);
    let (pay, parts) =
        (model.price() * 75 / 100 + stake * wrong.len() as u64, right.iter().map(|a| part(a)).sum::<u64>());
    for answer in right {
        let peer = &mut peers[answer.peer];
        peer.margin += i128::from((pay * part(answer)).checked_div(parts).unwrap_or(0));
        // What nobody else did says nothing about anybody.
        peer.score += u64::from(answers.len() > 1);
    }
    for answer in wrong {
        let peer = &mut peers[answer.peer];
        peer.margin -= i128::from(stake);
        peer.score = if model == Model::Weighted { peer.score * 2 / 3 } else { 0 };
        peer.mind.caught();
        peer.punished |= answer.act.works();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many peers of a score it takes to agree.
    fn needed(score: u64) -> Option<usize> {
        let answer = |peer| Answer { peer, act: Act::Right, value: 1, weight: (score / 3).max(3) - 1 };
        (1..=12).find(|&n| winner(Model::Weighted, &(0..n).map(answer).collect::<Vec<_>>()).is_some())
    }

    #[test]
    fn iexecs_confidence_takes_seven_newcomers_or_one_veteran() {
        assert_eq!([0, 30, 60, 302, 303].map(needed), [Some(7), Some(3), Some(2), Some(2), Some(1)]);
    }

    #[test]
    fn a_group_that_disagrees_makes_the_other_need_more() {
        let answer = |value, weight| Answer { peer: 0, act: Act::Right, value, weight };
        let veterans = |against: u64| {
            let mut answers: Vec<Answer> = (0..2).map(|_| answer(1, 20)).collect();
            answers.extend((0..against).map(|_| answer(2, 2)));
            winner(Model::Weighted, &answers)
        };
        // 400 of 401, and of 401 + 2 and 401 + 4: more than 99 %, and less.
        assert_eq!((veterans(0), veterans(1), veterans(2)), (Some(1), Some(1), None));
    }
}
