//! Clients: what they know of their tasks, and what they must never see.

use std::collections::BTreeMap;

use bytes::Bytes;
use p2c2r_core::ConnId;
use p2c2r_protocol::message::{Basis, Mode, ServerToClient, Verdict};
use p2c2r_signing::{InputDigest, ModuleId, SessionId};

use crate::fixture::truth;

pub(crate) struct Client {
    pub(crate) account: u8,
    pub(crate) conn: Option<ConnId>,
    /// Number of the session it has or wants.
    pub(crate) session_number: u64,
    pub(crate) session: Option<SessionId>,
    pub(crate) budget: u64,
    pub(crate) next_task: u64,
    pub(crate) tasks: BTreeMap<(SessionId, u64), Asked>,
    /// Percent of its turns in which it cancels, disconnects, closes its session.
    pub(crate) habits: [u64; 3],
    pub(crate) counts: Counts,
}

/// A task as its client knows it.
pub(crate) struct Asked {
    pub(crate) module: ModuleId,
    pub(crate) input: InputDigest,
    pub(crate) max_units: u64,
    pub(crate) mode: Mode,
    pub(crate) replicas: u8,
    /// How often the coordinator was restarted before it was submitted.
    pub(crate) life: u32,
    /// Sent twice: then the first may be refused and the second not.
    pub(crate) twice: bool,
    /// The client was away since: what was on its way then is lost.
    pub(crate) missed: bool,
    pub(crate) answer: Option<Bytes>,
    pub(crate) end: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum End {
    Refused,
    Verdict(Verdict),
    Withdrawn,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) submitted: u64,
    pub(crate) refused: u64,
    pub(crate) confirmed: u64,
    pub(crate) revoked: u64,
    pub(crate) unverified: u64,
}

impl Client {
    pub(crate) fn hear(&mut self, message: ServerToClient, payload: Bytes, life: u32) {
        match message {
            ServerToClient::SessionOpened { session, .. } => self.session = Some(session),
            ServerToClient::SessionClosed { .. } => {
                self.session = None;
                self.session_number += 1;
            }
            ServerToClient::SessionRefused { .. } => self.session = None,
            ServerToClient::TaskRefused { number, .. } => {
                self.counts.refused += 1;
                if let Some(asked) = self.asked(number).filter(|asked| !asked.twice || asked.end.is_none()) {
                    assert_eq!((&asked.answer, asked.end), (&None, None), "refused after an answer: {number}");
                    asked.end = Some(End::Refused);
                }
            }
            ServerToClient::TaskResult { number, confirmed, .. } => {
                let Some(asked) = self.asked(number) else { return };
                let (right, replicas) = (asked.truth(), asked.replicas);
                if asked.life == life && !asked.refused_once() {
                    assert_eq!(asked.answer, None, "one answer a task");
                    assert_eq!(asked.end, None, "no answer after the end");
                    assert!(confirmed || asked.mode == Mode::Provisional);
                }
                assert!(!confirmed || replicas == 1 || payload == right, "a confirmed answer is right");
                asked.answer = Some(payload);
            }
            ServerToClient::TaskVerdict { number, verdict } => self.verdict(number, verdict, &payload, life),
            ServerToClient::TaskWithdrawn { number, right, .. } => {
                let Some(asked) = self.asked(number) else { return };
                assert_eq!(asked.replicas, 1, "what others agreed on stands");
                assert!(right.is_none() || payload == asked.truth(), "what comes with a withdrawal is right");
                if asked.life == life && !asked.refused_once() {
                    let on_window = Some(Basis::HeldWindow);
                    assert!(
                        matches!(asked.end, Some(End::Verdict(Verdict::Confirmed { basis, .. })) if Some(basis) == on_window)
                            || (asked.end.is_none() && asked.missed),
                        "only what rests on a window is withdrawn, once: {number} {:?}",
                        asked.end
                    );
                }
                asked.end = Some(End::Withdrawn);
            }
            ServerToClient::Kernel(_)
            | ServerToClient::KernelUnknown { .. }
            | ServerToClient::BlobStored { .. }
            | ServerToClient::BlobRefused { .. }
            | ServerToClient::Chunk(_)
            | ServerToClient::Draining => {}
        }
    }

    /// Its connection is gone.
    pub(crate) fn disconnected(&mut self) {
        self.conn = None;
        self.session = None;
        self.tasks.values_mut().filter(|asked| asked.end.is_none()).for_each(|asked| asked.missed = true);
    }

    fn verdict(&mut self, number: u64, verdict: Verdict, payload: &Bytes, life: u32) {
        match verdict {
            Verdict::Confirmed { .. } => self.counts.confirmed += 1,
            Verdict::Revoked { .. } => self.counts.revoked += 1,
            Verdict::Unverified { .. } => self.counts.unverified += 1,
        }
        let Some(asked) = self.asked(number) else { return };
        let right = asked.truth();
        if asked.life == life && !asked.refused_once() {
            assert_eq!(asked.end, None, "one verdict a task: {number}");
            if asked.replicas > 1 {
                match verdict {
                    Verdict::Confirmed { .. } if asked.answer.is_none() && asked.missed => {}
                    Verdict::Confirmed { .. } => assert_eq!(asked.answer.as_ref(), Some(&right), "confirmed is right"),
                    Verdict::Revoked { .. } => {
                        assert_ne!(asked.answer.as_ref(), Some(&right), "only a wrong answer is revoked");
                        assert_eq!(*payload, right, "what comes with a revocation is right");
                    }
                    Verdict::Unverified { .. } => {}
                }
            }
        }
        asked.end = Some(End::Verdict(verdict));
    }

    fn asked(&mut self, number: u64) -> Option<&mut Asked> {
        self.tasks.get_mut(&(self.session?, number))
    }
}

impl Asked {
    fn refused_once(&self) -> bool {
        self.twice && self.end == Some(End::Refused)
    }

    fn truth(&self) -> Bytes {
        truth(self.module, self.input, self.max_units).output
    }
}
