//! A task from submit to settlement.

use std::collections::BTreeMap;

use bytes::Bytes;
use p2c2r_protocol::Credits;
use p2c2r_protocol::message::{Mode, Path};
use p2c2r_signing::{
    AccountId, AttemptNonce, Ballot, BlobId, ClassId, Digest, InputDigest, Manifest, ModuleId, Outcome, PublicKey,
    ResultClass, Seal, SessionId, TaskId, TraceRoot, Vote,
};
use slab::Slab;

use crate::io::{Millis, Network};
use crate::peers::ClassKey;
use crate::predict::WorkId;
use crate::quorum::Tally;
use crate::trust::Basis;
use crate::withheld::Unchecked;

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
    /// The quorum's vote that awaits the referee, or the referee's that awaits others after a restart.
    pub(crate) ruling: Option<Vote>,
    /// Rebuilt after a restart, and not decided before then: the referee may have decided it, and its vote be on the way.
    pub(crate) rule_from: Option<Millis>,
    /// Whether a hedge was tried.
    pub(crate) hedged: bool,
    /// Decided, but kept out of the batches until then: the loser of its hedge may have an answer on the way.
    pub(crate) settle_from: Option<Millis>,
    /// Whether it is in the list of those that wait for another peer.
    pub(crate) waiting: bool,
    /// Why the platform has it run (again); `None` for a client's task.
    pub(crate) rerun: Option<Rerun>,
}

/// A run the platform ordered, of work whose result somebody claimed before. The claim counts as a vote.
#[derive(Debug)]
pub(crate) struct Rerun {
    pub(crate) why: Why,
    /// The vote the claim would have been in this task.
    pub(crate) claim: Vote,
    /// Owners that may not run it, besides the client.
    pub(crate) barred: Vec<AccountId>,
}

/// Why something is run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// The referee, to see whether it agrees with itself.
    RefereeCheck,
    /// An answer on one execution, whose peer was caught lying since. Its cost is set aside until this is over.
    Recheck(Unchecked),
    /// A golden task: work that was confirmed, to see whether a peer that never saw it does it right.
    Golden,
}

/// What it takes to run a task again, and what is claimed to come out.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) module: ModuleId,
    pub(crate) class: ClassKey,
    /// Whose task it was.
    pub(crate) client: AccountId,
    pub(crate) input: Bytes,
    pub(crate) blobs: Vec<BlobId>,
    pub(crate) seed: u64,
    pub(crate) digest: InputDigest,
    pub(crate) max_units: u64,
    pub(crate) output_bytes: u64,
    pub(crate) patience_ms: u64,
    pub(crate) claim: Claim,
}

/// All of a result that a vote speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) outcome: Outcome,
    pub(crate) output: Digest,
    pub(crate) units: u64,
    pub(crate) trace_root: TraceRoot,
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
    pub(crate) output_digest: Digest,
}

/// One attempt.
pub(crate) struct Attempt {
    pub(crate) nonce: AttemptNonce,
    pub(crate) peer: PublicKey,
    pub(crate) owner: AccountId,
    pub(crate) network: Network,
    /// Whether its vote decides.
    pub(crate) referee: bool,
    /// When it was assigned.
    pub(crate) given: Millis,
    /// What kind of work it is; `None` if nothing is learnt from it, as from one that was given before a restart.
    pub(crate) work: Option<WorkId>,
    /// Whether it was given out because others were slow.
    pub(crate) hedge: bool,
    /// When it has run for longer than nine of ten; `None` if that is unknown.
    pub(crate) slow_from: Option<Millis>,
    /// Whether its peer had to fetch and compile first.
    pub(crate) cold: bool,
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

impl Answer {
    pub(crate) fn claim(&self) -> Claim {
        Claim { outcome: self.outcome, output: self.output_digest, units: self.units, trace_root: self.trace_root }
    }
}

impl Claim {
    /// The vote for this result in a task.
    pub(crate) fn vote(&self, task: TaskId, module: ModuleId, class: ClassId, input: InputDigest) -> Vote {
        let Self { outcome, output, units, trace_root } = *self;
        Ballot { task, module, class, input, outcome, output, units, trace_root }.vote()
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
        let barred = self.rerun.iter().flat_map(|rerun| &rerun.barred).chain([&self.client]);
        let asked = |owner: &AccountId| self.attempts.iter().any(|a| a.owner == *owner);
        let mut excluded: Vec<AccountId> = barred.filter(|owner| !asked(owner)).copied().collect();
        excluded.sort_unstable();
        excluded.dedup();
        excluded.extend(self.attempts.iter().map(|a| a.owner));
        excluded
    }

    /// The work of it, with what an answer claims; `None` where its input is not here.
    pub(crate) fn work(&self, answer: &Answer) -> Option<Work> {
        let Place::Class(class) = self.place else { return None };
        Some(Work {
            module: self.module,
            class,
            client: self.client,
            input: self.input.clone(),
            blobs: self.blobs.clone(),
            seed: self.seed,
            digest: self.digest,
            max_units: self.max_units,
            output_bytes: self.output_bytes,
            patience_ms: self.patience_ms,
            claim: answer.claim(),
        })
    }

    /// Where it runs or ran already.
    pub(crate) fn networks(&self) -> Vec<Network> {
        self.attempts.iter().map(|a| a.network).collect()
    }

    /// Executions it was meant to have.
    pub(crate) fn planned(&self) -> usize {
        usize::from(self.replicas) + usize::from(self.checks)
    }

    /// Whether its executions are compared with others.
    pub(crate) fn compared(&self) -> bool {
        self.planned() > 1 || self.rerun.is_some()
    }

    pub(crate) fn running(&self) -> usize {
        self.attempts.iter().filter(|a| a.is_running()).count()
    }

    /// The attempts that are one voice: a hedge, and those before it. Empty without one.
    fn stand_ins(&self) -> &[Attempt] {
        let hedge = self.attempts.iter().position(|a| a.hedge);
        hedge.and_then(|hedge| self.attempts.get(..=hedge)).unwrap_or_default()
    }

    /// Running attempts, as many votes as they can add.
    pub(crate) fn voices(&self) -> usize {
        let running = |attempts: &[Attempt]| attempts.iter().filter(|a| a.is_running()).count();
        let voted = |a: &Attempt| matches!(a.state, AttemptState::Voted { vote: Some(_), .. });
        let one = self.stand_ins();
        let counts = usize::from(running(one) > 0 && !one.iter().any(voted));
        running(&self.attempts) - running(one) + counts
    }

    /// Whether this attempt, which just voted, says what one said that it stands in for, or that stands in for it.
    pub(crate) fn is_echo(&self, attempt: usize) -> bool {
        let one = self.stand_ins();
        let vote = |a: &Attempt| if let AttemptState::Voted { vote, .. } = a.state { vote } else { None };
        let Some(said) = one.get(attempt).and_then(vote) else { return false };
        one.iter().enumerate().any(|(at, other)| at != attempt && vote(other) == Some(said))
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

    /// Those of a kernel.
    pub(crate) fn of_kernel(&self, module: ModuleId) -> Vec<usize> {
        self.slab.iter().filter(|(_, task)| task.module == module).map(|(key, _)| key).collect()
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
