//! What `/metrics` shows. Each coordinator has a recorder of its own, so that two in one process do not mix.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Level, Metadata, Recorder, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use p2c2r_core::Stats;

/// Upper bounds of the latency histogram's buckets, seconds: around the 50 to 100 ms a game can wait.
const LATENCY_BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The metrics of one coordinator.
pub(crate) struct Metrics {
    handle: PrometheusHandle,
    pub(crate) task_latency: Histogram,
    pub(crate) slow_consumers: Counter,
    pub(crate) connections: Gauge,
    pub(crate) connections_refused: Counter,
    pub(crate) handshakes_failed: Counter,
    pub(crate) frames_refused: Counter,
    store_healthy: Gauge,
    content_bytes: Gauge,
    certificate_expires: Gauge,
    stats: StatsMetrics,
}

struct StatsMetrics {
    counters: Vec<(Counter, Figure)>,
    gauges: Vec<(Gauge, Figure)>,
}

/// Where a metric's value is.
type Figure = fn(&Stats) -> u64;

impl Metrics {
    pub(crate) fn new() -> Self {
        let matcher = Matcher::Full("p2c2r_task_latency_seconds".to_owned());
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(matcher, &LATENCY_BUCKETS)
            .unwrap_or_else(|_| PrometheusBuilder::new())
            .build_recorder();
        let to = Register(&recorder);
        Self {
            task_latency: to.histogram("p2c2r_task_latency_seconds", "From a submit to its first answer."),
            slow_consumers: to.counter("p2c2r_slow_consumers_total", "Connections given up because they did not read."),
            connections: to.gauge("p2c2r_connections", "Connections open, authenticated or not."),
            connections_refused: to.counter("p2c2r_connections_refused_total", "Connections refused at a limit."),
            handshakes_failed: to.counter("p2c2r_handshakes_failed_total", "TLS or wire handshakes that failed."),
            frames_refused: to.counter("p2c2r_frames_refused_total", "Connections ended by a bad frame."),
            store_healthy: to.gauge("p2c2r_store_healthy", "1 if the store takes commits, 0 if it fails."),
            content_bytes: to.gauge("p2c2r_content_bytes", "Bytes of kernels and blobs on disk, uploads included."),
            certificate_expires: to.gauge(
                "p2c2r_certificate_expires_timestamp_seconds",
                "When the server's certificate expires, seconds since the Unix epoch.",
            ),
            stats: StatsMetrics::new(&to),
            handle: recorder.handle(),
        }
    }

    pub(crate) fn set_store_healthy(&self, healthy: bool) {
        self.store_healthy.set(if healthy { 1.0 } else { 0.0 });
    }

    pub(crate) fn set_content_bytes(&self, bytes: u64) {
        self.content_bytes.set(bytes as f64);
    }

    pub(crate) fn set_certificate_expires(&self, unix_seconds: i64) {
        self.certificate_expires.set(unix_seconds as f64);
    }

    /// Takes over what the market counted.
    pub(crate) fn take(&self, stats: &Stats) {
        for (counter, value) in &self.stats.counters {
            counter.absolute(value(stats));
        }
        for (gauge, value) in &self.stats.gauges {
            gauge.set(value(stats) as f64);
        }
    }

    /// Prometheus text format.
    pub(crate) fn render(&self) -> String {
        self.handle.run_upkeep();
        self.handle.render()
    }
}

impl StatsMetrics {
    fn new(to: &Register<'_>) -> Self {
        Self {
            counters: vec![
                (to.counter("p2c2r_tasks_submitted_total", "Tasks accepted."), |s| s.tasks_submitted),
                (to.counter("p2c2r_tasks_refused_total", "Tasks refused."), |s| s.tasks_refused),
                (
                    to.counter(
                        "p2c2r_tasks_refused_late_total",
                        "Of the refused, those predicted to miss their deadline.",
                    ),
                    |s| s.tasks_refused_late,
                ),
                (to.counter("p2c2r_tasks_confirmed_total", "Tasks confirmed."), |s| s.tasks_confirmed),
                (to.counter("p2c2r_tasks_revoked_total", "Confirmed tasks whose first answer was wrong."), |s| {
                    s.tasks_revoked
                }),
                (to.counter("p2c2r_tasks_unverified_total", "Tasks without a quorum."), |s| s.tasks_unverified),
                (to.counter("p2c2r_tasks_on_held_window_total", "Of the confirmed, those on one execution."), |s| {
                    s.tasks_on_held_window
                }),
                (to.counter("p2c2r_tasks_on_referee_total", "Of the confirmed, those a referee decided."), |s| {
                    s.tasks_on_referee
                }),
                (to.counter("p2c2r_tasks_withdrawn_total", "Answers withdrawn because their peer lied."), |s| {
                    s.tasks_withdrawn
                }),
                (to.counter("p2c2r_audits_total", "Tasks checked by decision of the platform."), |s| s.audits),
                (to.counter("p2c2r_audits_waived_total", "Checks nobody could be found for."), |s| s.audits_waived),
                (to.counter("p2c2r_forfeited_nano_usd_total", "Withheld pay lost by liars."), |s| s.forfeited_nano_usd),
                (to.counter("p2c2r_refunded_nano_usd_total", "Paid back for withdrawn answers."), |s| {
                    s.refunded_nano_usd
                }),
                (to.counter("p2c2r_goldens_total", "Golden tasks given out."), |s| s.goldens),
                (to.counter("p2c2r_goldens_refuted_total", "Golden tasks whose confirmed answer was wrong."), |s| {
                    s.goldens_refuted
                }),
                (to.counter("p2c2r_rechecks_total", "Answers of liars that others ran again."), |s| s.rechecks),
                (to.counter("p2c2r_rechecks_right_total", "Of them, those that stand."), |s| s.rechecks_right),
                (to.counter("p2c2r_rechecks_wrong_total", "Of them, those replaced."), |s| s.rechecks_wrong),
                (to.counter("p2c2r_referee_checks_total", "Disputes the referee ran twice."), |s| s.referee_checks),
                (to.counter("p2c2r_penalties_lifted_total", "Wrong votes that were their kernel's fault."), |s| {
                    s.penalties_lifted
                }),
                (to.counter("p2c2r_restored_nano_usd_total", "Forfeited pay given back with them."), |s| {
                    s.restored_nano_usd
                }),
                (to.counter("p2c2r_tasks_recovered_total", "Tasks rebuilt from tickets after a restart."), |s| {
                    s.tasks_recovered
                }),
                (to.counter("p2c2r_attempts_total", "Attempts given to peers."), |s| s.attempts),
                (to.counter("p2c2r_attempts_reissued_total", "Attempts beyond those asked for."), |s| s.reissues),
                (to.counter("p2c2r_hedges_total", "Attempts given out because others were slow."), |s| s.hedges),
                (to.counter("p2c2r_hedges_won_total", "Hedges whose answer came first."), |s| s.hedges_won),
                (to.counter("p2c2r_attempts_faulted_total", "Attempts without an outcome."), |s| s.faults),
                (to.counter("p2c2r_votes_total", "Results counted as votes."), |s| s.votes),
                (to.counter("p2c2r_votes_agreed_total", "Votes settled as right."), |s| s.votes_agreed),
                (to.counter("p2c2r_votes_outvoted_total", "Votes settled as wrong."), |s| s.votes_outvoted),
                (to.counter("p2c2r_settlement_batches_total", "Settlement batches."), |s| s.batches),
                (to.counter("p2c2r_charged_nano_usd_total", "Charged to clients."), |s| s.charged_nano_usd),
                (to.counter("p2c2r_paid_nano_usd_total", "Paid to peers."), |s| s.paid_nano_usd),
                (to.counter("p2c2r_platform_fee_nano_usd_total", "Kept by the platform."), |s| s.fee_nano_usd),
            ],
            gauges: vec![
                (to.gauge("p2c2r_golden_bytes", "Golden tasks kept."), |s| s.golden_bytes),
                (to.gauge("p2c2r_recheck_bytes", "Work kept to be run again."), |s| s.recheck_bytes),
                (to.gauge("p2c2r_kernels_suspected", "Kernels held to be at fault: look at the report."), |s| {
                    s.kernels_suspected
                }),
                (to.gauge("p2c2r_peers_connected", "Peers connected."), |s| s.peers),
                (to.gauge("p2c2r_clients_connected", "Clients connected."), |s| s.clients),
                (to.gauge("p2c2r_sessions_open", "Sessions open."), |s| s.sessions),
                (to.gauge("p2c2r_tasks_in_flight", "Tasks between submit and settlement."), |s| s.tasks),
                (to.gauge("p2c2r_tasks_pending", "Tasks waiting for free peers."), |s| s.pending),
                (to.gauge("p2c2r_attempts_running", "Attempts running at peers."), |s| s.running),
                (to.gauge("p2c2r_commits_in_flight", "Commits not yet durable."), |s| s.commits_in_flight),
            ],
        }
    }
}

/// Describes and registers in one step, so that no metric lacks its HELP.
struct Register<'a>(&'a PrometheusRecorder);

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

impl Register<'_> {
    fn counter(&self, name: &'static str, help: &'static str) -> Counter {
        self.0.describe_counter(KeyName::from_const_str(name), None, help.into());
        self.0.register_counter(&Key::from_static_name(name), &METADATA)
    }

    fn gauge(&self, name: &'static str, help: &'static str) -> Gauge {
        self.0.describe_gauge(KeyName::from_const_str(name), None, help.into());
        self.0.register_gauge(&Key::from_static_name(name), &METADATA)
    }

    fn histogram(&self, name: &'static str, help: &'static str) -> Histogram {
        self.0.describe_histogram(KeyName::from_const_str(name), Some(Unit::Seconds), help.into());
        self.0.register_histogram(&Key::from_static_name(name), &METADATA)
    }
}

/// How often histograms are folded together while nobody asks for them.
pub(crate) const UPKEEP: Duration = Duration::from_secs(5);

impl Metrics {
    /// Keeps memory flat while nobody scrapes.
    pub(crate) fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}
