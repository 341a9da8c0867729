//! Every request, asked by everybody: what the table of roles says is what happens.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod fake;

use std::sync::Arc;

use fake::Fake;
use landfall_control::api::{JobId, Request};
use landfall_control::{Caller, Code, Desk, action_of, decode_request};

/// One request of each kind and, of a kind that does different things, one for each.
const REQUESTS: &[&str] = &[
    r#"{"request":"status_show"}"#,
    r#"{"request":"machine_list"}"#,
    r#"{"request":"machine_show","name":"a"}"#,
    r#"{"request":"disk_list"}"#,
    r#"{"request":"disk_eligible"}"#,
    r#"{"request":"disk_watch"}"#,
    r#"{"request":"point_list","machine":"a"}"#,
    r#"{"request":"view_list"}"#,
    r#"{"request":"job_list"}"#,
    r#"{"request":"job_watch","id":1}"#,
    r#"{"request":"manifest_list","machine":"a"}"#,
    r#"{"request":"manifest_show","machine":"a","number":1}"#,
    r#"{"request":"retention_show"}"#,
    r#"{"request":"retention_plan"}"#,
    r#"{"request":"policy_show"}"#,
    r#"{"request":"server_list"}"#,
    r#"{"request":"alarm_list"}"#,
    r#"{"request":"alarm_watch"}"#,
    r#"{"request":"audit_list"}"#,
    r#"{"request":"audit_check"}"#,
    r#"{"request":"alarm_ack"}"#,
    r#"{"request":"catalog_show"}"#,
    r#"{"request":"backup_make","passphrase":"correct horse"}"#,
    r#"{"request":"catalog_rebuild","from":"copy","confirm":"home"}"#,
    r#"{"request":"point_verify","machine":"a","point":"latest"}"#,
    r#"{"request":"point_view","machine":"a","point":"latest"}"#,
    r#"{"request":"view_close","id":1}"#,
    r#"{"request":"retention_scrub"}"#,
    r#"{"request":"reprotect","machine":"a","confirm":"a"}"#,
    r#"{"request":"reprotect","machine":"a","plan_only":true}"#,
    r#"{"request":"reprotect","machine":"a","disks":[{"path":"/dev/sdb"}],"confirm":"a"}"#,
    r#"{"request":"failback","machine":"a","to":"latest"}"#,
    r#"{"request":"cancel","machine":"a"}"#,
    r#"{"request":"commit","machine":"a","confirm":"a"}"#,
    r#"{"request":"machine_remove","name":"a","confirm":"a"}"#,
    r#"{"request":"machine_add","name":"a","disks":[{"path":"/dev/sdb"}]}"#,
    r#"{"request":"point_pin","machine":"a","point":{"sequence":8}}"#,
    r#"{"request":"point_pin","machine":"a","point":{"sequence":8},"until":"2026-11-20T14:00:00Z"}"#,
    r#"{"request":"point_pin","machine":"a","point":{"sequence":9}}"#,
    r#"{"request":"pending_list"}"#,
    r#"{"request":"pending_approve","id":7}"#,
    r#"{"request":"pending_cancel","id":7}"#,
    r#"{"request":"policy_set","change":{"window_seconds":172800}}"#,
    r#"{"request":"policy_set","change":{"when_full":"pause"}}"#,
    r#"{"request":"policy_set","change":{"budget_bytes":7200000000}}"#,
    r#"{"request":"policy_set","change":{"commit":"cancel"}}"#,
    r#"{"request":"policy_set","change":{"commit":"commit"}}"#,
    r#"{"request":"policy_set","change":{"window_seconds":172800,"commit":"commit"}}"#,
    r#"{"request":"policy_set","change":{"window_seconds":60},"plan_only":true}"#,
    r#"{"request":"point_unpin","machine":"a","point":{"sequence":8}}"#,
    r#"{"request":"policy_set","change":{"rpo_seconds":60,"window_seconds":null,"application_seconds":null,"budget_bytes":null,"when_full":null,"inherit":false}}"#,
    r#"{"request":"policy_set","change":{"rpo_seconds":null,"window_seconds":7200,"application_seconds":null,"budget_bytes":null,"when_full":null,"inherit":false}}"#,
    r#"{"request":"network_show"}"#,
    r#"{"request":"network_try","plan":{"interfaces":[]}}"#,
    r#"{"request":"network_keep"}"#,
    r#"{"request":"network_set","plan":{"interfaces":[]},"confirm":"network"}"#,
    r#"{"request":"server_token","role":"source","name":"a"}"#,
    r#"{"request":"server_revoke","name":"a","confirm":"a"}"#,
    r#"{"request":"job_show","id":1}"#,
    r#"{"request":"job_cancel","id":1}"#,
    r#"{"request":"job_start","machine":"a","kind":"resync"}"#,
    r#"{"request":"preflight_show"}"#,
    r#"{"request":"plan_list"}"#,
    r#"{"request":"plan_show","name":"p"}"#,
    r#"{"request":"plan_create","name":"p","steps":[{"kind":"pause","note":""}]}"#,
    r#"{"request":"plan_delete","name":"p","confirm":"p"}"#,
    r#"{"request":"plan_run","name":"p","confirm":"p"}"#,
    r#"{"request":"plan_continue","name":"p"}"#,
    r#"{"request":"plan_stop","name":"p"}"#,
    r#"{"request":"group_list"}"#,
    r#"{"request":"group_show","name":"g"}"#,
    r#"{"request":"group_create","name":"g","machines":["a"]}"#,
    r#"{"request":"group_add","name":"g","machine":"a"}"#,
    r#"{"request":"group_remove","name":"g","machine":"a"}"#,
    r#"{"request":"group_delete","name":"g","confirm":"g"}"#,
    r#"{"request":"group_point_make","name":"g"}"#,
    r#"{"request":"group_point_list","name":"g"}"#,
    r#"{"request":"group_failback","name":"g","to":"latest"}"#,
];

fn callers() -> [(&'static str, Caller); 5] {
    [
        ("local", Caller::Local { uid: 0 }),
        ("job", Caller::Job(JobId(1))),
        ("system", Caller::System),
        ("operator", Caller::Operator("ann".parse().unwrap())),
        ("manager", Caller::Manager("hq".parse().unwrap())),
    ]
}

/// What the desk makes of a request before anybody answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judged {
    Through,
    /// It waits to be confirmed.
    Held,
    Denied,
}

fn judged(caller: &Caller, request: &Request) -> Judged {
    let desk = Desk::new(Arc::new(Fake::default()));
    // What the service makes of it is another matter, panics of the fake one included.
    let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| desk.call(caller, request.clone())));
    match asked {
        Ok(Err(error)) if error.code == Code::NotAuthorised => Judged::Denied,
        Ok(Err(error)) if error.code == Code::PendingHeld => Judged::Held,
        _ => Judged::Through,
    }
}

/// What an operator and a manager may: `+` through, `?` once it is confirmed, `-` not at all. Everybody here may everything.
fn expected(line: &str, kind: &str) -> &'static str {
    match kind {
        "MachineRemove" | "PointUnpin" => "??",
        "PolicySet" if line.contains("7200") => "??",
        "PointPin" if line.contains("until") => "??",
        "Reprotect" if !line.contains("disks") && !line.contains("plan_only") => "??",
        "Commit" => "+?",
        "PolicySet" if line.contains(r#""commit":"commit""#) => "+?",
        "ServerToken" | "ServerRevoke" | "NetworkTry" | "NetworkKeep" | "NetworkSet" => "+-",
        "BackupMake" | "CatalogRebuild" | "PendingApprove" => "--",
        _ => "++",
    }
}

#[test]
fn what_the_table_says_is_what_happens() {
    let mut kinds = std::collections::BTreeSet::new();
    for line in REQUESTS {
        let request = decode_request(line.as_bytes()).unwrap();
        kinds.insert(request.kind());
        let of = |letter: char| match letter {
            '+' => Judged::Through,
            '?' => Judged::Held,
            _ => Judged::Denied,
        };
        let elsewhere = expected(line, request.kind()).chars().map(of);
        let expected: Vec<_> = std::iter::repeat_n(Judged::Through, 3).chain(elsewhere).collect();
        let found: Vec<_> = callers().iter().map(|(_, caller)| judged(caller, &request)).collect();
        assert_eq!(found, expected, "{line} ({:?})", action_of(&request));
    }
    let missing: Vec<_> = Request::KINDS.iter().filter(|kind| !kinds.contains(*kind)).collect();
    assert!(missing.is_empty(), "every kind of request is asked here: {missing:?}");
}

#[test]
fn what_waits_is_carried_out_when_it_is_approved_and_not_without_its_name() {
    let fake = Arc::new(Fake::default());
    let desk = Desk::new(fake.clone());
    let removed = || fake.removed.load(std::sync::atomic::Ordering::SeqCst);
    let ask = |caller: &Caller, line: &str| desk.call(caller, decode_request(line.as_bytes()).unwrap());
    let (local, ann) = (Caller::Local { uid: 0 }, Caller::Operator("ann".parse().unwrap()));
    let unnamed = ask(&ann, r#"{"request":"machine_remove","name":"a","confirm":"b"}"#).unwrap_err();
    assert_eq!(unnamed.code, Code::NotConfirmed, "it does not wait a day for that");
    let held = ask(&ann, r#"{"request":"machine_remove","name":"a","confirm":"a"}"#).unwrap_err();
    assert!(held.fix.contains("landfall approve 7"), "{held}");
    assert_eq!(removed(), 0);
    let unknown = ask(&local, r#"{"request":"pending_approve","id":8}"#).unwrap_err();
    assert_eq!((unknown.code, removed()), (Code::PendingUnknown, 0));
    ask(&local, r#"{"request":"pending_approve","id":7}"#).unwrap();
    assert_eq!(removed(), 1);
}
