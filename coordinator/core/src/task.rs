//! A task from submit to settlement.

use std::collections::BTreeMap;

use bytes::Bytes;
use p2c2r_protocol::Credits;
use p2c2r_protocol::message::{Mode, Path};
use p2c2r_signing::{
    AccountId, AttemptNonce, BlobId, ClassId, InputDigest, Manifest, ModuleId, Outcome, PublicKey, ResultClass, Seal,
    SessionId, TaskId, TraceRoot, Vote,
};
use slab::Slab;

use crate::io::{Millis, Network};
use crate::peers::ClassKey;
use crate::quorum::Tally;
use crate::trust::Basis;

/// All tasks between submit and settlement.
#[derive(Default)]
pub(crate) struct Tasks {
    slab: Slab<Task>,
    by_id: BTreeMap<TaskId, usize>,
    /// Bytes of inputs kept, and of outputs that wait for a check.
    pub(crate) input_bytes: usize,
}

/// One task.
pub(crate) struct Task {
    pub(crate) id: TaskId,
    pub(crate) session: SessionId,
    /// Who pays, and so never runs it.
    pub(crate) client: AccountId,
    pub(crate) number: u64,
    pub(crate) module: ModuleId,
    pub(crate) needs: Needs,
    pub(crate) digest: InputDigest,
    /// Kept for reissue; empty once decided, and in a recovered task.
    pub(crate) input: Bytes,
    pub(crate) blobs: Vec<BlobId>,
    pub(crate) seed: u64,
    pub(crate) priority: u8,
    pub(crate) mode: Mode,
    pub(crate) replicas: u8,
    /// Executions the platform added to check.
    pub(crate) checks: u8,
    pub(crate) max_units: u64,
    /// Bytes an output may have by the manifest.
    pub(crate) output_bytes: u64,
    pub(crate) rate: Credits,
    /// What it may cost; kept out of the session's hold.
    pub(crate) reserve: Credits,
    /// Without an answer by then nobody waits any more.
    pub(crate) deadline: Millis,
    /// Milliseconds its client gave it; a later attempt gets no more than the first, or its peer would know what it is.
    pub(crate) patience_ms: u64,
    /// With an answer it must be verified by then.
    pub(crate) verify_by: Millis,
    pub(crate) timer: Option<Millis>,
    pub(crate) place: Place,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) tally: Tally,
    pub(crate) phase: Phase,
    /// The vote behind the answer the client has.
    pub(crate) delivered: Option<Vote>,
    /// An answer that may yet be the task's: the first one while a check is awaited, the quorum's while a referee is.
    pub(crate) kept: Option<Answer>,
    /// The quorum's vote that awaits the referee.
    pub(crate) ruling: Option<Vote>,
    /// Whether it is in the list of those that wait for another peer.
    pub(crate) waiting: bool,
}

/// Where a task runs. All its attempts run in one class, or their votes could not be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nowhere yet.
    Queued,
    /// In this class.
    Class(ClassKey),
    /// Rebuilt from tickets after a restart: votes are counted, nothing is issued.
    Recovered(ClassId),
}

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No verdict yet.
    Undecided,
    /// This vote is right, at this cost. Waits for its settlement batch.
    Confirmed(Vote, Credits, Basis),
    /// There will be no quorum. Waits for its settlement batch.
    Unverified,
}

/// What a peer says came out.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    pub(crate) units: u64,
    pub(crate) trace_root: TraceRoot,
    pub(crate) seal: Seal,
    pub(crate) output: Bytes,
}

/// One attempt.
pub(crate) struct Attempt {
    pub(crate) nonce: AttemptNonce,
    pub(crate) peer: PublicKey,
    pub(crate) owner: AccountId,
    pub(crate) network: Network,
    /// Whether its vote decides.
    pub(crate) referee: bool,
    /// When it counts as late.
    pub(crate) until: Millis,
    pub(crate) state: AttemptState,
}

/// How an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttemptState {
    /// Its peer is at it. The number is the peer's, good for as long as it is connected.
    Running(usize),
    /// Given up, but its result would still count: late, disconnected or cancelled.
    Missing,
    /// Its peer said that there will be no outcome.
    Faulted,
    /// Voted; without a vote if it broke a rule that no right execution can.
    Voted {
        /// What for.
        vote: Option<Vote>,
        /// Units it charged.
        units: u64,
        /// As sent.
        seal: Seal,
    },
}

/// What a kernel needs of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Needs {
    /// The CPU path.
    Cpu,
    /// Exact shaders, on whatever runs them.
    Exact,
    /// A GPU.
    Gpu,
    /// A GPU if there is one.
    GpuOrCpu,
}

impl Needs {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        match &manifest.gpu {
            None => Self::Cpu,
            Some(_) if manifest.result_class == ResultClass::Exact => Self::Exact,
            Some(gpu) if gpu.cpu_path => Self::GpuOrCpu,
            Some(_) => Self::Gpu,
        }
    }

    /// Paths, best first.
    pub(crate) fn paths(self) -> &'static [Path] {
        match self {
            Self::Cpu => &[Path::Cpu],
            Self::Exact => &[Path::Exact],
            Self::Gpu => &[Path::Gpu],
            Self::GpuOrCpu => &[Path::Gpu, Path::Cpu],
        }
    }
}

impl Attempt {
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.state, AttemptState::Running(_))
    }
}

impl Task {
    /// Whether no peer was given it yet.
    pub(crate) fn is_queued(&self) -> bool {
        self.place == Place::Queued
    }

    /// When it ends without a verdict.
    pub(crate) fn ends(&self) -> Millis {
        if self.delivered.is_some() { self.verify_by } else { self.deadline }
    }

    /// Who may not run it (any more): its client, and the owners that have or had an attempt of it.
    pub(crate) fn excluded(&self) -> Vec<AccountId> {
        let client = Some(self.client).filter(|client| self.attempts.iter().all(|a| a.owner != *client));
        client.into_iter().chain(self.attempts.iter().map(|a| a.owner)).collect()
    }

    /// Where it runs or ran already.
    pub(crate) fn networks(&self) -> Vec<Network> {
        self.attempts.iter().map(|a| a.network).collect()
    }

    /// Executions it was meant to have.
    pub(crate) fn planned(&self) -> usize {
        usize::from(self.replicas) + usize::from(self.checks)
    }

    pub(crate) fn running(&self) -> usize {
        self.attempts.iter().filter(|a| a.is_running()).count()
    }

    /// Whether an attempt that is given up could still come back with a result.
    pub(crate) fn may_come_back(&self) -> bool {
        self.attempts.iter().any(|a| a.state == AttemptState::Missing)
    }

    /// Whether any peer sent a result.
    pub(crate) fn has_votes(&self) -> bool {
        self.attempts.iter().any(|a| matches!(a.state, AttemptState::Voted { .. }))
    }
}

impl Tasks {
    pub(crate) fn insert(&mut self, task: Task) -> usize {
        self.input_bytes += task.input.len();
        let id = task.id;
        let key = self.slab.insert(task);
        self.by_id.insert(id, key);
        key
    }

    pub(crate) fn remove(&mut self, key: usize) -> Option<Task> {
        self.drop_bytes(key);
        let task = self.slab.try_remove(key)?;
        self.by_id.remove(&task.id);
        Some(task)
    }

    /// Keeps an answer for later, in place of one before.
    pub(crate) fn keep(&mut self, key: usize, answer: Answer) {
        if let Some(task) = self.slab.get_mut(key) {
            self.input_bytes += answer.output.len();
            self.input_bytes -= task.kept.replace(answer).map_or(0, |before| before.output.len());
        }
    }

    /// Nothing will be reissued or waited for any more.
    pub(crate) fn drop_bytes(&mut self, key: usize) {
        if let Some(task) = self.slab.get_mut(key) {
            self.input_bytes -= std::mem::take(&mut task.input).len();
            self.input_bytes -= task.kept.take().map_or(0, |answer| answer.output.len());
        }
    }

    pub(crate) fn get(&self, key: usize) -> Option<&Task> {
        self.slab.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: usize) -> Option<&mut Task> {
        self.slab.get_mut(key)
    }

    pub(crate) fn find(&self, id: &TaskId) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }
}
