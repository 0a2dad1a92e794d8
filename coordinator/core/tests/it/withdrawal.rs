//! What becomes of a liar's answers that nobody compared.

use bytes::Bytes;
use p2c2r_core::{ConnId, Limits, MarketConfig, TrustConfig};
use p2c2r_protocol::message::{RightAnswer, ServerToClient, Standing};
use p2c2r_signing::Outcome;

use crate::fixture::{Desk, Execution, Job, RATE, account, execution, plain, submit, usd};

const LIAR: ConnId = ConnId(102);

/// Nothing is audited, and pay is withheld.
fn config() -> MarketConfig {
    let trust = TrustConfig { held_tasks: 100, ..TrustConfig::OFF };
    MarketConfig { trust, ..plain() }
}

/// Works for itself `right` times, and lies `wrong` times. The only peer, until it is caught before `others` peers.
struct Scene {
    desk: Desk,
    client: ConnId,
    /// What the answers cost.
    costs: Vec<u64>,
}

fn wrong(job: &Job) -> Execution {
    execution(b"a lie", job.max_units)
}

fn scene(config: MarketConfig, right: u64, lies: u64) -> Scene {
    let mut desk = Desk::new(config);
    desk.peer(2, 1);
    let client = desk.client(1, 0, 500_000);
    let mut costs = Vec::new();
    for number in 0..right + lies {
        desk.client_says(client, submit(number, 1));
        let (conn, job) = desk.jobs().remove(0);
        let answer = if number < right { job.truth() } else { wrong(&job) };
        costs.push(RATE * answer.units);
        desk.answer(conn, &job, &answer);
    }
    desk.wait(1_000);
    desk.heard();
    desk.settled();
    Scene { desk, client, costs }
}

impl Scene {
    /// The liar breaks a rule when `others` are there to ask. Gives what they are asked then.
    fn caught_before(&mut self, others: u8) -> Vec<(ConnId, Job)> {
        self.desk.client_says(self.client, submit(900, 1));
        let (conn, job) = self.desk.jobs().remove(0);
        for n in 3..3 + others {
            self.desk.peer(n, 100);
        }
        self.desk.answer(conn, &job, &Execution { units: 101, ..job.truth() });
        // The task itself goes to somebody else, where there is somebody.
        for (conn, job) in self.desk.jobs() {
            self.desk.answer(conn, &job, &job.truth());
        }
        self.desk.wait(1_000);
        let jobs = self.desk.jobs();
        self.desk.settled();
        jobs
    }

    fn withdrawn(&mut self) -> Vec<(u64, u64, Option<RightAnswer>, Bytes)> {
        let heard = std::mem::take(&mut self.desk.to_clients);
        let withdrawn = heard.into_iter().filter_map(|(_, message, payload)| match message {
            ServerToClient::TaskWithdrawn { number, refund, right } => {
                Some((number, refund.nano_usd(), right, payload))
            }
            _ => None,
        });
        let mut withdrawn: Vec<_> = withdrawn.collect();
        withdrawn.sort_by_key(|w| w.0);
        withdrawn
    }

    fn balance(&self) -> u64 {
        self.desk.market.balance(account(1)).unwrap().nano_usd()
    }

    fn withheld(&self, n: u8) -> u64 {
        self.desk.market.ledger().withheld(account(n)).nano_usd()
    }
}

#[test]
fn others_run_them_again_and_only_what_was_wrong_is_replaced() {
    let mut scene = scene(config(), 3, 2);
    let before = scene.balance();
    let jobs = scene.caught_before(3);
    assert_eq!(scene.withheld(2), 0);
    assert_eq!(scene.withdrawn(), [], "nothing is said before it is known");
    assert_eq!(jobs.len(), 5);
    assert!(jobs.iter().all(|(conn, job)| *conn != LIAR && job.deadline_ms == 100), "as any other task");
    for (conn, job) in jobs {
        scene.desk.answer(conn, &job, &job.truth());
    }
    // Two answers differ from the liar's: somebody else is asked.
    let again = scene.desk.jobs();
    assert_eq!(again.len(), 2);
    let truths: Vec<_> = again.iter().map(|(_, job)| job.truth()).collect();
    let platform = scene.desk.market.platform().nano_usd();
    for (conn, job) in again {
        scene.desk.answer(conn, &job, &job.truth());
    }
    scene.desk.wait(1_000);
    let settled = scene.desk.settled();
    assert_eq!(settled.len(), 7);
    assert!(settled.iter().all(|(_, e)| e.standing == Standing::Agreed && e.earned > usd(0)));
    let (all, earned) =
        (scene.costs.iter().sum::<u64>(), settled.iter().map(|(_, e)| e.earned.nano_usd()).sum::<u64>());
    assert!(earned <= all * 75 / 100 && earned + 7 > all * 75 / 100, "out of what the liar lost: {earned} of {all}");
    assert_eq!(platform - scene.desk.market.platform().nano_usd(), earned);

    let withdrawn = scene.withdrawn();
    for ((number, refund, right, output), n) in withdrawn.iter().zip(3..) {
        assert_eq!((*number, *refund), (n, 0));
        let truth = truths.iter().find(|truth| truth.output == *output).expect("the truth of one of them");
        assert_eq!(*right, Some(RightAnswer { outcome: Outcome::Output, units: truth.units }));
    }
    assert_eq!(withdrawn.len(), 2);
    assert_eq!(scene.balance(), before, "what was right, or is now, is paid for");
    let stats = scene.desk.market.stats();
    assert_eq!((stats.rechecks, stats.rechecks_right, stats.rechecks_wrong, stats.tasks_withdrawn), (5, 3, 2, 2));
    assert_eq!((stats.tasks, stats.recheck_bytes / 512), (0, 1), "only that of the last task is kept");
}

#[test]
fn what_nobody_can_run_again_is_paid_back() {
    type Make = fn() -> (Scene, u8);
    let cases: [Make; 2] = [
        // Nobody else.
        || (scene(config(), 2, 0), 0),
        // Its inputs are gone.
        || {
            let limits = Limits { recheck_bytes: 0, ..Limits::default() };
            (scene(MarketConfig { limits, ..config() }, 2, 0), 2)
        },
    ];
    for make in cases {
        let (mut scene, others) = make();
        let before = scene.balance();
        let jobs = scene.caught_before(others);
        assert!(jobs.is_empty(), "{jobs:?}");
        the_client_is_paid_back(&mut scene, before);
    }

    // Others take it and never answer.
    let mut scene = scene(config(), 2, 0);
    let before = scene.balance();
    assert_eq!(scene.caught_before(2).len(), 2);
    scene.desk.wait(60_000);
    the_client_is_paid_back(&mut scene, before);
    assert_eq!(scene.desk.market.stats().rechecks, 2);
}

fn the_client_is_paid_back(scene: &mut Scene, before: u64) {
    let withdrawn = scene.withdrawn();
    assert_eq!(withdrawn.iter().map(|w| (w.0, w.1)).collect::<Vec<_>>(), [(0, scene.costs[0]), (1, scene.costs[1])]);
    assert!(withdrawn.iter().all(|w| w.2.is_none() && w.3.is_empty()));
    assert_eq!(scene.balance() - before, scene.costs.iter().sum::<u64>());
    assert_eq!(scene.desk.market.stats().tasks, 0);
}

#[test]
fn only_so_many_are_run_again_at_a_time() {
    let limits = Limits { rechecks: 1, ..Limits::default() };
    let mut scene = scene(MarketConfig { limits, ..config() }, 3, 0);
    assert_eq!((scene.caught_before(2).len(), scene.withdrawn().len()), (1, 2));
}

#[test]
fn work_is_kept_as_long_as_its_pay_is_withheld() {
    let trust = TrustConfig { held_tasks: 2, ..TrustConfig::OFF };
    let mut scene = scene(MarketConfig { trust, ..config() }, 5, 0);
    let two = scene.desk.market.stats().recheck_bytes;
    assert!(two > 0);
    assert_eq!((scene.caught_before(2).len(), scene.desk.market.stats().recheck_bytes < two), (2, true));
}
