//! Commits as a real market makes them.

use std::collections::VecDeque;

use p2c2r_core::record::{Commit, Record, SettledExecution, SettlementRecord};
use p2c2r_core::{Admin, CommitId, ConnId, Input, Market, MarketConfig, Millis, Output};
use p2c2r_protocol::Credits;
use p2c2r_protocol::message::{ClientToServer, Standing};
use p2c2r_signing::merkle::Tree;
use p2c2r_signing::{AccountId, AttemptNonce, Manifest, ModuleId, Seal, SecretKey, SessionId, TaskId, TicketKey};

pub(crate) fn account(number: u8) -> AccountId {
    AccountId::from_bytes([number; 16])
}

pub(crate) fn manifest() -> Manifest {
    let text = br#"{"name": "echo", "version": "1.0.0", "abi": 1, "publisher": "Example", "unit": "byte"}"#;
    Manifest::from_json(text).expect("a manifest")
}

/// A market whose commits are taken as durable at once.
pub(crate) struct Source {
    market: Market,
    now: u64,
    commits: VecDeque<Commit>,
}

impl Source {
    pub(crate) fn new() -> Self {
        let market = Market::new(MarketConfig::default(), [7; 32], TicketKey::from_bytes(&[8; 32]));
        Self { market, now: 1_000_000, commits: VecDeque::new() }
    }

    /// Handles one input and hands out the commits it led to.
    pub(crate) fn handle(&mut self, input: Input) -> Vec<Commit> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            self.now += 1;
            self.market.handle(Millis(self.now), input);
            while let Some(output) = self.market.poll_output() {
                match output {
                    Output::Commit(commit) => {
                        inputs.push_back(Input::Committed { commit: commit.id });
                        self.commits.push_back(commit);
                    }
                    Output::AdminDone { result, .. } => result.expect("accepted"),
                    _ => {}
                }
            }
        }
        self.commits.drain(..).collect()
    }

    pub(crate) fn admin(&mut self, command: Admin) -> Vec<Commit> {
        self.handle(Input::Admin { request: self.now, command })
    }

    pub(crate) fn deposit(&mut self, to: AccountId, nano_usd: u64, reference: &str) -> Vec<Commit> {
        let mut commits = self.admin(Admin::OpenAccount { account: to });
        let amount = Credits::from_nano_usd(nano_usd);
        commits.extend(self.admin(Admin::Deposit { account: to, amount, reference: reference.to_owned() }));
        commits
    }

    pub(crate) fn register(&mut self, module: ModuleId, rate: u64) -> Vec<Commit> {
        let rate = Credits::from_nano_usd(rate);
        self.admin(Admin::RegisterKernel { module, manifest: Box::new(manifest()), rate })
    }

    pub(crate) fn open_session(&mut self, owner: AccountId, number: u64, budget: u64) -> Vec<Commit> {
        let conn = ConnId(self.now);
        let mut commits = self.handle(Input::ClientConnected { conn, account: owner });
        let message = ClientToServer::OpenSession { number, budget: Credits::from_nano_usd(budget) };
        commits.extend(self.handle(Input::Client { conn, message, payload: bytes::Bytes::new() }));
        commits
    }

    /// The next number, for records made by hand.
    pub(crate) fn after(commits: &[Commit]) -> CommitId {
        CommitId(commits.last().map_or(1, |commit| commit.id.0 + 1))
    }
}

/// A batch of `executions` tasks of one session, numbered from `first`.
pub(crate) fn settlement(batch: u64, session: SessionId, first: u64, executions: u64) -> Record {
    let peer = SecretKey::from_seed(&[3; 32]).public();
    let detail: Vec<_> = (first..first + executions)
        .map(|number| SettledExecution {
            task: TaskId::from_bytes([1; 16]),
            nonce: AttemptNonce::from_bytes([2; 16]),
            module: ModuleId::of(b"kernel"),
            peer,
            session,
            number,
            units: 5,
            task_cost: Credits::from_nano_usd(100),
            standing: Standing::Agreed,
            earned: Credits::from_nano_usd(75),
            seal: Seal::from_bytes([4; 32]),
        })
        .collect();
    Record::Settlement(SettlementRecord {
        batch,
        root: Tree::new(detail.iter().map(SettledExecution::leaf)).root(),
        tasks: executions,
        executions,
        charged: Credits::from_nano_usd(100 * executions),
        paid: Credits::from_nano_usd(75 * executions),
        fee: Credits::from_nano_usd(25 * executions),
        at: Millis(1_000_000 + batch),
        executions_detail: detail,
    })
}
