//! The heartbeat end to end: real agents, the real gate, a real catalog.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod lab;

use std::time::Duration;

use inventory::{Liveness, OrderState};
use lab::{LONG, Lab, identity, random_id};
use landfall_control::heartbeat::Wanted;
use wire::heartbeat::{Answer, Cause, Instruction, SourceOrder, Verdict};

fn wanted(order: SourceOrder) -> Wanted {
    Wanted {
        id: random_id(),
        by: "operator ada".to_owned(),
        instruction: Instruction::Source(order),
        expires_after: Duration::from_secs(60),
    }
}

fn ended(state: &OrderState) -> Option<&Verdict> {
    match state {
        OrderState::Ended { verdict, .. } => Some(verdict),
        _ => None,
    }
}

#[test]
fn an_order_reaches_a_connected_server_and_its_outcome_comes_back() {
    let lab = Lab::new();
    let web = lab.agent("web-01");
    lab.until_connected("web-01");
    let mut ticket = lab.orders.give(&identity("web-01"), wanted(SourceOrder::Pause)).expect("given");
    assert_eq!(ended(&ticket.wait(LONG).state), Some(&Verdict::Done(Answer::Nothing)));
    assert_eq!(web.done(), [SourceOrder::Pause]);
}

#[test]
fn an_order_given_while_the_server_is_away_waits_and_the_same_id_is_the_same_order() {
    let lab = Lab::new();
    let wanted = wanted(SourceOrder::Resume);
    let mut ticket = lab.orders.give(&identity("web-01"), wanted.clone()).expect("given");
    let again = lab.orders.give(&identity("web-01"), wanted).expect("given");
    assert_eq!(again.order().sequence, ticket.order().sequence);
    drop(again);
    let web = lab.agent("web-01");
    lab.until(|| lab.orders.of(&identity("web-01")).expect("kept")[0].has_ended());
    assert_eq!(ended(&ticket.wait(LONG).state), Some(&Verdict::Done(Answer::Nothing)));
    assert_eq!(web.done(), [SourceOrder::Resume]);
}

#[test]
fn an_order_that_expired_before_the_server_came_is_never_sent() {
    let lab = Lab::new();
    let brief = Wanted { expires_after: Duration::ZERO, ..wanted(SourceOrder::Pause) };
    drop(lab.orders.give(&identity("web-01"), brief).expect("given"));
    let web = lab.agent("web-01");
    lab.until(|| lab.orders.of(&identity("web-01")).expect("kept")[0].has_ended());
    assert_eq!(ended(&lab.orders.of(&identity("web-01")).expect("kept")[0].state), Some(&Verdict::Expired));
    assert_eq!(web.done(), []);
}

#[test]
fn a_destructive_order_waits_for_somebody_at_the_server() {
    let lab = Lab::new();
    let web = lab.agent("web-01");
    let mut ticket = lab.orders.give(&identity("web-01"), wanted(SourceOrder::Resync)).expect("given");
    assert!(matches!(ticket.wait(LONG).state, OrderState::Waiting { .. }));
    let waiting = web.agent.waiting();
    web.agent.approve(waiting[0].id).expect("it waits");
    lab.until(|| lab.orders.of(&identity("web-01")).expect("kept")[0].has_ended());
    assert_eq!(web.done(), [SourceOrder::Resync]);
}

#[test]
fn a_report_shows_what_the_server_runs_and_how_its_clock_is() {
    let lab = Lab::new();
    let _web = lab.agent("web-01");
    lab.until_connected("web-01");
    lab.until(|| lab.servers.show(&identity("web-01")).is_some_and(|server| server.report.is_some()));
    let server = lab.servers.show(&identity("web-01")).expect("it is known");
    assert_eq!(server.liveness, Liveness::Alive);
    assert_eq!(server.speaks.expect("it has said so").software, "test 1");
    assert_eq!(server.report.expect("it was just there").1.machines.len(), 1);
}

#[test]
fn a_second_connection_of_the_same_server_takes_over() {
    let lab = Lab::new();
    let _first = lab.agent("web-01");
    lab.until_connected("web-01");
    let second = lab.agent_with_state("web-01", "elsewhere");
    lab.until(|| second.is_connected());
    let mut ticket = lab.orders.give(&identity("web-01"), wanted(SourceOrder::Pause)).expect("given");
    assert!(ended(&ticket.wait(LONG).state).is_some());
}

#[test]
fn a_server_that_was_stopped_is_lost_with_its_process_as_the_cause() {
    let lab = Lab::new();
    let web = lab.agent("web-01");
    lab.until_connected("web-01");
    web.stop();
    lab.until(|| lab.told().iter().any(|(_, liveness)| matches!(liveness, Liveness::Lost(_))));
    let server = lab.servers.show(&identity("web-01")).expect("it is known");
    let Liveness::Lost(finding) = server.liveness else { panic!("{server:?}") };
    assert_eq!((finding.cause, finding.detail.as_str()), (Cause::Process, "it said goodbye: it was stopped"));
}
