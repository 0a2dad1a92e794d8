//! What the operator and auditors read.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use p2c2r_core::record::SettlementRecord;
use p2c2r_protocol::message::Standing;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Failure, Shared};
use crate::limits;
use crate::store::Store;

/// The durable figures from the store, and who is there right now from the market.
pub(super) async fn report(State(shared): State<Shared>) -> Result<Json<Value>, Failure> {
    let look = shared.0.reception.market.view(|market, links| {
        let ready = links.ready_peers();
        let peers: Vec<_> = market
            .peers()
            .map(|peer| {
                json!({
                    "id": peer.record.key,
                    "account": peer.record.account,
                    "earned_nano_usd": peer.record.earned.nano_usd(),
                    "votes_agreed": peer.record.agreed,
                    "votes_outvoted": peer.record.outvoted,
                    "faults": peer.record.faults,
                    "kernels_trusted": peer.kernels_trusted,
                    "online": peer.online,
                    "suspended": peer.suspended,
                    "ready": ready.contains(&peer.record.key) && !peer.suspended,
                })
            })
            .collect();
        let sessions: Vec<_> = market
            .sessions()
            .map(|session| {
                json!({
                    "id": session.session,
                    "account": session.account,
                    "connected": session.connected,
                    "budget_nano_usd": session.budget.nano_usd(),
                    "spent_nano_usd": session.spent.nano_usd(),
                    "tasks": session.tasks,
                })
            })
            .collect();
        let kernels: Vec<_> = market
            .kernels()
            .map(|kernel| {
                let suspicion = market.suspicion(kernel.module);
                json!({
                    "module": kernel.module,
                    "name": kernel.manifest.name,
                    "version": kernel.manifest.version,
                    "rate_nano_usd": kernel.rate.nano_usd(),
                    "fault": suspicion.map(|s| json!({ "since_ms": s.since.0, "cause": s.cause.to_string() })),
                })
            })
            .collect();
        (peers, sessions, kernels, market.ledger_balanced())
    });
    let (peers, sessions, kernels, balanced) = look.await?;
    let audit = shared.archive(Store::audit).await?;
    let accounts: Vec<_> = audit
        .available
        .iter()
        .map(|(account, available)| json!({ "id": account, "available_nano_usd": available.nano_usd() }))
        .collect();
    Ok(Json(json!({
        "platform_nano_usd": audit.platform.nano_usd(),
        "deposited_nano_usd": audit.deposited.nano_usd(),
        "held_nano_usd": audit.held.nano_usd(),
        "withheld_nano_usd": audit.withheld.nano_usd(),
        "ledger_balanced": balanced && audit.damage.is_none(),
        "damage": audit.damage.map(|damage| damage.to_string()),
        "journal_lines": audit.journal_lines,
        "journal_chain": audit.chain,
        "accounts": accounts,
        "peers": peers,
        "sessions": sessions,
        "kernels": kernels,
        "settlements": {
            "batches": audit.batches,
            "tasks": audit.tasks,
            "executions": audit.executions,
            "charged_nano_usd": audit.charged.nano_usd(),
            "paid_nano_usd": audit.paid.nano_usd(),
            "fee_nano_usd": audit.fee.nano_usd(),
        },
    })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct After {
    /// Batches after this one.
    #[serde(default)]
    after: u64,
}

/// Every execution, batch by batch: `next` is the `after` of the next page, absent at the end.
pub(super) async fn settlements(
    State(shared): State<Shared>,
    after: Result<Query<After>, QueryRejection>,
) -> Result<Json<Value>, Failure> {
    let Query(After { after }) = after.map_err(|e| Failure::bad(e.body_text()))?;
    let page = shared.archive(move |store| store.settlements(after, limits::EXECUTIONS_PER_PAGE)).await?;
    let next = page.last().map(|settlement| settlement.batch);
    let batches: Vec<_> = page.iter().map(batch).collect();
    let executions: Vec<_> = page.iter().flat_map(executions).collect();
    Ok(Json(json!({ "batches": batches, "executions": executions, "next": next })))
}

fn batch(settlement: &SettlementRecord) -> Value {
    json!({
        "batch": settlement.batch,
        "root": settlement.root,
        "tasks": settlement.tasks,
        "executions": settlement.executions,
        "charged_nano_usd": settlement.charged.nano_usd(),
        "paid_nano_usd": settlement.paid.nano_usd(),
        "fee_nano_usd": settlement.fee.nano_usd(),
        "at_ms": settlement.at.0,
    })
}

fn executions(settlement: &SettlementRecord) -> impl Iterator<Item = Value> {
    settlement.executions_detail.iter().map(|e| {
        json!({
            "batch": settlement.batch,
            "task": e.task,
            "nonce": e.nonce,
            "module": e.module,
            "peer": e.peer,
            "session": e.session,
            "number": e.number,
            "units": e.units,
            "task_cost_nano_usd": e.task_cost.nano_usd(),
            "standing": standing(e.standing),
            "earned_nano_usd": e.earned.nano_usd(),
            "seal": e.seal,
        })
    })
}

const fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Agreed => "agreed",
        Standing::Outvoted => "outvoted",
        Standing::Void => "void",
    }
}
