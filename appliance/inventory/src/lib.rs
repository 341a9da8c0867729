//! core: what a configuration server knows, as records, and the rules over them.
//!
//! A record is one thing with a name: a machine, a server, a job. It is kept as JSON, so that the tools of whatever database
//! keeps it show it readable, and it grows by fields that have a default: an older record reads as if it had them.
//! Rules are functions of what is known and what happened; whoever has a clock passes the time in.
//!
//! *Invariants:* a record's key is made of its own fields, so that it can't be kept under another's; a rule changes nothing
//! itself. What this crate does not do: it keeps nothing, asks nobody and reads no clock.

/// What went wrong and still does, and what did.
mod alarm;
/// Who did what, each entry bound to the one before.
mod audit;
/// What is known of machines, and what is there.
mod census;
/// Who has certificates, and whose no longer count.
mod certificate;
/// What becomes of a machine by itself that stands at a point.
mod commit;
/// What a cut-over would take.
mod cutover;
/// How close to its end a certificate is.
mod expiry;
/// Machines whose recovery points share one order.
mod group;
/// How a point of a group is made, and which there are.
mod group_point;
/// Which configuration server hears whom.
mod hearing;
/// Units of work.
mod job;
/// Where a record is kept.
mod key;
/// Requests that came with a key.
mod keyed;
/// Whether a server is alive, and why not.
mod liveness;
/// Protected machines.
mod machine;
/// Orders to servers.
mod order;
/// Requests that wait to be confirmed.
mod pending;
/// Orders in which machines come home.
mod plan;
/// What would go wrong, found before anything is touched.
mod preflight;
/// What every record is.
mod record;
/// How often what is known has changed.
mod revision;
/// Who may do what.
mod roles;
/// Whose records are, where several appliances share a catalog.
mod scope;
/// Servers and sources that report.
mod server;
/// What holds for the whole installation.
mod settings;
/// Join tokens.
mod token;

pub use alarm::{APPLIANCE, Ack, Alarm, AlarmKind, AlarmStep, Condition, REMEMBERED, Severity, observe};
pub use audit::{AUDIT_KEPT, AuditDeed, AuditEntry, AuditFlaw, AuditHead, AuditOutcome};
pub use census::{CensusStep, census, missing};
pub use certificate::{Holder, Issued, Revocation};
pub use commit::{
    COMMIT_SECONDS, COMMIT_SECONDS_DEFAULT, ClockJump, CommitBy, CommitDue, CommitPolicy, CommitSubject,
    Stand, Standing,
};
pub use cutover::{Cutover, Outstanding, Received, SAMPLE_EVERY};
pub use expiry::expiring;
pub use group::{
    EVERY_SECONDS, GROUP_MEMBERS_MAX, Group, GroupAttempt, GroupError, GroupMember, HOLD_MS, HOLD_MS_DEFAULT,
};
pub use group_point::{CommonPoint, GroupEffect, GroupEvent, GroupMaking, MarkedPoint, common_points};
pub use hearing::Hearing;
pub use job::{
    JOB_LINES_MAX, JOBS_KEPT, Job, JobClaim, JobError, JobEvent, JobFound, JobLine, JobOrigin, JobState,
    JobStep, JobWork, forgettable_jobs,
};
pub use key::{KEY_LEN_MAX, Key, KeyError};
pub use keyed::{ANSWER_KEPT_MAX, KEYED_FOR, KEYED_MAX, Keyed, KeyedOutcome};
pub use liveness::{Ending, Finding, Liveness, PROBE_EVERY, Pulse, PulseEffect, PulseEvent};
pub use machine::{Machine, MachineDisk, Policy, WhenFull};
pub use order::{ENDED_KEPT, EXPIRES_AFTER, Order, OrderState, forgettable, next_sequence};
pub use pending::{
    Asker, PENDING_MAX, PENDING_WAIT, Pending, PendingOutcome, PendingState, forgettable_pending,
};
pub use plan::{
    HOOK_SECONDS, PLAN_NOTE_LEN_MAX, PLAN_STEPS_MAX, PLAN_TOGETHER_MAX, Plan, PlanError, PlanEvent, PlanRun,
    PlanState, PlanStep,
};
pub use preflight::{
    Broken, CLOCK_SKEW_MAX, PreflightFacts, Registration, Rule, SourceFacts, Undertaking, Unfit, preflight,
};
pub use record::{Record, RecordError};
pub use revision::Revision;
pub use roles::{Action, ROLES, Row, SUBJECTS, Subject, Verdict, roles_for};
pub use scope::Scope;
pub use server::Server;
pub use settings::Installation;
pub use token::{TOKEN_FAILURES_MAX, TOKEN_LIFE, Token, TokenRefused, TokenState};
