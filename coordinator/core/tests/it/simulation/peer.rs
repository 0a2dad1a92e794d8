//! Peers: honest, slow, lazy, lying, vanishing, faulty, and one that breaks its seals.

use std::collections::BTreeMap;

use p2c2r_core::ConnId;
use p2c2r_protocol::message::{OfferedClass, PeerToServer, SettledAttempt, Standing};
use p2c2r_signing::{AttemptNonce, PublicKey, Seal};

use super::dice::Dice;
use crate::fixture::{Execution, Job, execution};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Character {
    Honest,
    /// Right, but often after the deadline.
    Slow,
    /// Sends random bytes.
    Lazy,
    /// Sends the same wrong answer whenever it is asked the same.
    Liar,
    /// Often goes away instead of answering, and comes back.
    Vanishing,
    /// Often says that it failed.
    Faulty,
    /// Sometimes sends a seal that does not fit.
    SealBreaker,
}

pub(crate) struct Peer {
    pub(crate) character: Character,
    pub(crate) key: PublicKey,
    pub(crate) account: u8,
    pub(crate) conn: Option<ConnId>,
    pub(crate) slots: u16,
    pub(crate) classes: Vec<OfferedClass>,
    pub(crate) running: BTreeMap<AttemptNonce, Job>,
    /// Ticket and result of every attempt not settled yet.
    pub(crate) kept: BTreeMap<AttemptNonce, (Job, Execution)>,
    /// What it was told.
    pub(crate) told: BTreeMap<AttemptNonce, (Standing, u64)>,
}

/// What a peer does when its time for a job is up.
pub(crate) enum Done {
    Nothing,
    Result { execution: Execution, broken_seal: bool },
    Fault,
    Vanish,
}

impl Peer {
    /// Milliseconds it takes for a job.
    pub(crate) fn takes(&self, job: &Job, dice: &mut Dice) -> u64 {
        let deadline = u64::from(job.deadline_ms);
        match self.character {
            Character::Slow => dice.between(deadline / 2, deadline * 3),
            _ if dice.percent(3) => dice.between(1, deadline * 2),
            _ => dice.between(1, 1 + deadline / 2),
        }
    }

    pub(crate) fn finish(&mut self, nonce: &AttemptNonce, dice: &mut Dice) -> Done {
        let Some(job) = self.running.remove(nonce) else { return Done::Nothing };
        let right = job.truth();
        let wrong = |seed: &[u8]| execution(&[self.key.as_bytes().as_slice(), seed].concat(), job.max_units);
        let execution = match self.character {
            Character::Vanishing if dice.percent(50) => {
                self.running.insert(*nonce, job);
                return Done::Vanish;
            }
            Character::Faulty if dice.percent(50) => return Done::Fault,
            Character::Lazy => wrong(&dice.seed()),
            Character::Liar if dice.percent(70) => wrong(job.input.as_bytes()),
            // More units than the task may charge, but for the rest right.
            Character::Liar if dice.percent(10) => Execution { units: job.max_units + 1, ..right },
            _ => right,
        };
        let broken_seal = self.character == Character::SealBreaker && dice.percent(20);
        self.kept.insert(*nonce, (job, execution.clone()));
        Done::Result { execution, broken_seal }
    }

    pub(crate) fn result(&self, nonce: &AttemptNonce, broken_seal: bool) -> Option<(PeerToServer, bytes::Bytes)> {
        let (job, execution) = self.kept.get(nonce)?;
        let (mut message, payload) = job.result(&self.key, execution);
        if let (true, PeerToServer::Result { seal, .. }) = (broken_seal, &mut message) {
            *seal = Seal::from_bytes([0; 32]);
        }
        Some((message, payload))
    }

    pub(crate) fn settled(&mut self, entry: &SettledAttempt) {
        let now = (entry.standing, entry.earned.nano_usd());
        self.kept.remove(&entry.nonce);
        if let Some(before) = self.told.insert(entry.nonce, now) {
            assert_eq!(before, now, "{:?}: what a peer is told does not change", entry.nonce);
        }
    }

    pub(crate) fn is_honest(&self) -> bool {
        !matches!(self.character, Character::Lazy | Character::Liar | Character::SealBreaker)
    }
}
