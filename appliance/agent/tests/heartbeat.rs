//! A real agent against a controller that does what the test tells it.

mod controller;

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use agent::{AgentConfig, AgentStatus, Connection, Done, Executor, Facts, HeartbeatAgent, Reporter};
use controller::{Controller, now};
use units::{Sequence, Timestamp};
use wire::Consistency;
use wire::heartbeat::{
    Answer, Cause, Command, Heard, Instruction, Message, PointTaken, Refusal, Refused, SourceOrder,
    Statement, VERSIONS, Verdict, Versions,
};

/// Reports nothing, and keeps a list of what it carried out.
#[derive(Default)]
struct Worker(Mutex<Vec<SourceOrder>>);

impl Reporter for Worker {
    fn report(&self) -> Facts {
        Facts { door: Some(9443), ..Facts::default() }
    }
}

impl Executor for Worker {
    /// To resync destroys, as far as this test is concerned.
    fn destroys(&self, statement: &Statement) -> Option<String> {
        let destroys = statement.instruction == Instruction::Source(SourceOrder::Resync);
        destroys.then(|| "everything".to_owned())
    }

    fn execute(&self, statement: &Statement) -> Result<Done, Vec<u8>> {
        let Instruction::Source(order) = &statement.instruction else { return Err(b"{}".to_vec()) };
        self.0.lock().expect("no panic").push(order.clone());
        match order {
            SourceOrder::Pause => Ok(Done { answer: Answer::Point(point()), reply: Vec::new() }),
            SourceOrder::Resume => Ok(Done { answer: Answer::Reply, reply: vec![7; 150_000] }),
            SourceOrder::Throttle { .. } => panic!("a bug of the executor"),
            _ => Ok(Done::nothing()),
        }
    }
}

fn point() -> PointTaken {
    PointTaken { sequence: Sequence(8), time: Timestamp(9), consistency: Consistency::Crash }
}

fn start(controller: &Controller, address: &str) -> (HeartbeatAgent, Arc<Worker>) {
    let worker = Arc::new(Worker::default());
    let config = AgentConfig {
        controller: address.to_owned(),
        identity: controller.directory.path().join("source-web-01"),
        state: controller.directory.path().join("state"),
        software: "test 1".to_owned(),
    };
    let agent = HeartbeatAgent::start(config, worker.clone(), worker.clone()).expect("it starts");
    (agent, worker)
}

/// A controller, and the agent of `web-01`.
fn pair() -> (Controller, HeartbeatAgent, Arc<Worker>) {
    let controller = Controller::new();
    controller.source("web-01");
    let (agent, worker) = start(&controller, &controller.address());
    (controller, agent, worker)
}

fn done(worker: &Worker) -> Vec<SourceOrder> {
    worker.0.lock().expect("no panic").clone()
}

fn send(connection: &mut controller::Connection, command: Command) {
    connection.send(&Message::Command(Box::new(command)));
}

fn until(agent: &HeartbeatAgent, holds: impl Fn(&AgentStatus) -> bool) -> AgentStatus {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let status = agent.status();
        if holds(&status) {
            return status;
        }
        assert!(Instant::now() < deadline, "still not so: {status:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_agent_reports_and_measures_its_clock_against_the_controllers() {
    let (controller, agent, _) = pair();
    let (mut connection, hello) = controller.welcome();
    assert_eq!((hello.versions, hello.taken), (VERSIONS, 0));
    let (Message::Report(first), _) = connection.receive() else { panic!("a report comes at once") };
    assert_eq!((first.number, first.door), (1, Some(9443)));
    let hour = 3_600_000_000;
    connection.send(&Message::Heard(Heard { number: 1, time: Timestamp(now().0 - hour) }));
    let (Message::Report(second), _) = connection.receive() else { panic!("a second report") };
    let reading = second.clock.expect("it was measured");
    let error = reading.ahead_micros.abs_diff(hour as i64);
    assert!(error <= u64::from(reading.round_trip_micros) / 2 + 1000, "{reading:?}");
    agent.stop();
    assert!(matches!(connection.receive().0, Message::Goodbye | Message::Report(_)));
}

#[test]
fn a_command_is_carried_out_once_and_its_outcome_comes_until_it_is_taken() {
    let (controller, agent, worker) = pair();
    let (mut connection, _) = controller.welcome();
    send(&mut connection, controller.command(1, SourceOrder::Pause));
    let (outcome, _) = connection.outcome();
    assert_eq!(outcome.verdict, Verdict::Done(Answer::Point(point())));
    drop(connection);
    let (mut connection, hello) = controller.welcome();
    assert_eq!(hello.taken, 1);
    assert_eq!(connection.outcome().0, outcome, "it was not taken, so it comes again");
    send(&mut connection, controller.command(1, SourceOrder::Pause));
    assert_eq!(connection.outcome().0, outcome, "the same command again gets the same outcome");
    connection.take(&outcome);
    send(&mut connection, controller.command(1, SourceOrder::Pause));
    let (replayed, _) = connection.outcome();
    assert!(matches!(replayed.verdict, Verdict::Invalid { .. }), "{replayed:?}");
    assert_eq!(done(&worker), [SourceOrder::Pause]);
    agent.stop();
}

#[test]
fn what_was_taken_is_remembered_over_a_restart() {
    let (controller, agent, _) = pair();
    let (mut connection, _) = controller.welcome();
    send(&mut connection, controller.command(7, SourceOrder::Pause));
    let (outcome, _) = connection.outcome();
    agent.stop();
    let (agent, worker) = start(&controller, &controller.address());
    let (mut connection, hello) = controller.welcome();
    assert_eq!(hello.taken, 7);
    assert_eq!(connection.outcome().0, outcome);
    assert_eq!(done(&worker), []);
    agent.stop();
}

#[test]
fn what_is_not_the_controllers_or_too_late_is_never_carried_out() {
    let (controller, agent, worker) = pair();
    let (mut connection, _) = controller.welcome();
    let lawful = controller.command(1, SourceOrder::Pause).statement;
    let mut forged = controller.signed(lawful.clone());
    forged.statement.instruction = Instruction::Source(SourceOrder::Resume);
    let others = Statement { server: "web-02".parse().expect("a name"), ..lawful.clone() };
    for command in [forged, controller.signed(others)] {
        send(&mut connection, command);
        let (refused, _) = connection.outcome();
        assert!(matches!(refused.verdict, Verdict::Invalid { .. }), "{refused:?}");
    }
    send(&mut connection, controller.signed(Statement { expires: lawful.issued, ..lawful }));
    let (late, _) = connection.outcome();
    assert_eq!(late.verdict, Verdict::Expired);
    assert_eq!(done(&worker), []);
    agent.stop();
}

#[test]
fn what_would_destroy_waits_for_somebody_here() {
    let (controller, agent, worker) = pair();
    let (mut connection, _) = controller.welcome();
    let commands = [1, 2].map(|sequence| controller.command(sequence, SourceOrder::Resync));
    for command in commands.clone() {
        send(&mut connection, command);
        let (outcome, _) = connection.outcome();
        assert!(
            matches!(outcome.verdict, Verdict::Waiting { until } if until.0 > now().0 + 23 * 3_600_000_000)
        );
        connection.take(&outcome);
    }
    assert_eq!(done(&worker), []);
    let waiting = agent.waiting();
    assert_eq!((waiting.len(), waiting[0].destroys.as_str()), (2, "everything"));
    agent.reject(waiting[0].id).expect("it waits");
    assert_eq!(connection.outcome().0.verdict, Verdict::Rejected);
    agent.approve(waiting[1].id).expect("it waits");
    assert_eq!(connection.outcome().0.verdict, Verdict::Done(Answer::Nothing));
    assert!(agent.approve(waiting[1].id).is_err(), "it waits no more");
    assert_eq!(done(&worker), [SourceOrder::Resync]);
    agent.stop();
}

#[test]
fn a_long_reply_comes_in_parts_and_a_panic_is_a_failure() {
    let (controller, agent, _) = pair();
    let (mut connection, _) = controller.welcome();
    send(&mut connection, controller.command(1, SourceOrder::Resume));
    let mut reply = Vec::new();
    for part in 0..3 {
        let (outcome, bytes) = connection.outcome();
        assert_eq!((outcome.part, outcome.last), (part, part == 2));
        reply.extend(bytes);
    }
    assert_eq!(reply, vec![7; 150_000]);
    send(&mut connection, controller.command(2, SourceOrder::Throttle { bytes_per_second: 1 }));
    let (failed, error) = connection.outcome();
    assert_eq!(failed.verdict, Verdict::Failed);
    assert!(error.starts_with(b"{\"what\":"), "{error:?}");
    agent.stop();
}

#[test]
fn an_agent_says_why_it_is_not_connected_and_tells_of_it_afterwards() {
    let controller = Controller::new();
    controller.source("web-01");
    let (agent, _) = start(&controller, &controller.address());
    let (mut connection, _) = controller.accept();
    let versions = Versions { oldest: 8, newest: 9 };
    let detail = "it speaks version 1, this speaks 8 to 9".try_into().expect("short");
    let refused = Refused { refusal: Refusal::Version, versions, time: now(), detail };
    connection.send(&Message::Refused(Box::new(refused)));
    let status = until(&agent, |status| matches!(status.connection, Connection::Unreachable { .. }));
    let Connection::Unreachable { why, .. } = status.connection else { unreachable!("it was just so") };
    assert_eq!((why.cause, why.detail.as_str()), (Cause::Version, "it speaks version 1, this speaks 8 to 9"));
    let (mut connection, _) = controller.welcome();
    let (Message::Report(report), _) = connection.receive() else { panic!("a report comes at once") };
    assert_eq!(report.outage.map(|outage| outage.cause), Some(Cause::Version));
    until(&agent, |status| matches!(status.connection, Connection::Connected { .. }));
    agent.stop();
}

#[test]
fn nobody_at_the_port_and_a_peer_that_speaks_no_tls_are_told_apart() {
    let controller = Controller::new();
    controller.source("web-01");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it listens");
    let cause = |status: &AgentStatus| match &status.connection {
        Connection::Unreachable { why, .. } => Some(why.cause),
        _ => None,
    };
    let (agent, _) = start(&controller, &address.to_string());
    let (mut socket, _) = listener.accept().expect("the agent");
    std::io::Write::write_all(&mut socket, b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("the agent is there");
    until(&agent, |status| cause(status) == Some(Cause::Tls));
    drop((listener, socket));
    until(&agent, |status| cause(status) == Some(Cause::Tcp));
    agent.stop();
    let (agent, _) = start(&controller, "no-such-host.invalid:443");
    until(&agent, |status| cause(status) == Some(Cause::Name));
    agent.stop();
}
