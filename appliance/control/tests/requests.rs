//! The exact JSON of every request: other programs write these lines.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use landfall_control::api::{
    AlarmAck, AlarmList, AlarmWatch, AuditCheck, AuditList, BackupMake, Cancel, CatalogRebuild, CatalogShow,
    Commit, DiskChoice, DiskEligible, DiskList, DiskWatch, Failback, FailbackTo, GroupAdd, GroupCreate,
    GroupDelete, GroupFailback, GroupList, GroupPointList, GroupPointMake, GroupRemove, GroupShow, GroupTo,
    HexHash, JobCancel, JobId, JobList, JobShow, JobStart, JobWatch, JobWish, MachineAdd, MachineList,
    MachineRemove, MachineShow, ManifestList, ManifestShow, NetworkKeep, NetworkSet, NetworkShow, NetworkTry,
    PendingApprove, PendingCancel, PendingList, PlanContinue, PlanCreate, PlanDelete, PlanList, PlanRun,
    PlanShow, PlanStep, PlanStop, PointList, PointPin, PointUnpin, PointVerify, PointView, PolicyChange,
    PolicySet, PolicyShow, PreflightShow, RebuildFrom, Reprotect, Request, RetentionPlan, RetentionScrub,
    RetentionShow, Secret, ServerList, ServerRevoke, ServerToken, StatusShow, ViewClose, ViewList, WhenFull,
};
use landfall_control::decode_request;
use landfall_control::http::{DOCUMENT, document, read_request, write_request};
use units::{MachineName, Sequence};

fn web() -> MachineName {
    "web-01".parse().unwrap()
}

fn shop() -> MachineName {
    "shop".parse().unwrap()
}

fn change() -> PolicyChange {
    PolicyChange { window_seconds: Some(7200), when_full: Some(WhenFull::Thin), ..PolicyChange::default() }
}

/// Every request with its line. A new kind of request does not compile here until `place` knows it.
fn all() -> Vec<(Request, &'static str)> {
    let time = FailbackTo::Time("2026-11-20T14:03:07Z".parse::<units::Timestamp>().unwrap().into());
    let sequence = FailbackTo::Sequence(Sequence(812));
    let disks = vec![DiskChoice { path: "/dev/sdb".to_owned(), allow_file: true }];
    let confirm = "web-01".to_owned();
    vec![
        (StatusShow {}.into(), r#"{"request":"status_show"}"#),
        (
            MachineAdd { name: web(), disks }.into(),
            r#"{"request":"machine_add","name":"web-01","disks":[{"path":"/dev/sdb","allow_file":true}]}"#,
        ),
        (MachineList {}.into(), r#"{"request":"machine_list"}"#),
        (MachineShow { name: web() }.into(), r#"{"request":"machine_show","name":"web-01"}"#),
        (
            MachineRemove { name: web(), confirm: confirm.clone() }.into(),
            r#"{"request":"machine_remove","name":"web-01","confirm":"web-01"}"#,
        ),
        (DiskList {}.into(), r#"{"request":"disk_list"}"#),
        (
            PointList { machine: web(), around: None, limit: 7 }.into(),
            r#"{"request":"point_list","machine":"web-01","around":null,"limit":7}"#,
        ),
        (
            Failback { machine: web(), to: time, plan_only: true, inconsistent_ok: false, no_proof: false }
                .into(),
            r#"{"request":"failback","machine":"web-01","to":{"time":"2026-11-20T14:03:07Z"},"plan_only":true,"inconsistent_ok":false,"no_proof":false}"#,
        ),
        (
            Commit { machine: web(), confirm }.into(),
            r#"{"request":"commit","machine":"web-01","confirm":"web-01"}"#,
        ),
        (Cancel { machine: web() }.into(), r#"{"request":"cancel","machine":"web-01"}"#),
        (
            PointVerify { machine: web(), point: sequence }.into(),
            r#"{"request":"point_verify","machine":"web-01","point":{"sequence":812}}"#,
        ),
        (JobList {}.into(), r#"{"request":"job_list"}"#),
        (JobWatch { id: JobId(4) }.into(), r#"{"request":"job_watch","id":4}"#),
        (RetentionShow { machine: None }.into(), r#"{"request":"retention_show","machine":null}"#),
        (
            DiskEligible { disk: Some("/dev/sdb".to_owned()) }.into(),
            r#"{"request":"disk_eligible","disk":"/dev/sdb"}"#,
        ),
        (DiskWatch { after: Some(7) }.into(), r#"{"request":"disk_watch","after":7}"#),
        (ManifestList { machine: web() }.into(), r#"{"request":"manifest_list","machine":"web-01"}"#),
        (
            RetentionScrub { machine: None, now: true, rate: Some(1 << 20), paused: None }.into(),
            r#"{"request":"retention_scrub","machine":null,"now":true,"rate":1048576,"paused":null}"#,
        ),
        (
            ManifestShow { machine: web(), number: Some(3) }.into(),
            r#"{"request":"manifest_show","machine":"web-01","number":3}"#,
        ),
        (
            PointView {
                machine: web(),
                point: sequence,
                inconsistent_ok: true,
                scratch_bytes: Some(4096),
                listen: Some("unix:/run/view".to_owned()),
            }
            .into(),
            r#"{"request":"point_view","machine":"web-01","point":{"sequence":812},"inconsistent_ok":true,"scratch_bytes":4096,"listen":"unix:/run/view"}"#,
        ),
        (ViewList {}.into(), r#"{"request":"view_list"}"#),
        (ViewClose { id: 3 }.into(), r#"{"request":"view_close","id":3}"#),
        (
            Reprotect {
                machine: web(),
                disks: vec![DiskChoice { path: "/dev/sdc".to_owned(), allow_file: false }],
                plan_only: true,
                confirm: String::new(),
            }
            .into(),
            r#"{"request":"reprotect","machine":"web-01","disks":[{"path":"/dev/sdc","allow_file":false}],"plan_only":true,"confirm":""}"#,
        ),
        (RetentionPlan { machine: None }.into(), r#"{"request":"retention_plan","machine":null}"#),
        (PolicyShow { machine: None }.into(), r#"{"request":"policy_show","machine":null}"#),
        (
            PolicySet { machine: Some(web()), change: change(), plan_only: true, expiry_ok: false }.into(),
            r#"{"request":"policy_set","machine":"web-01","change":{"rpo_seconds":null,"window_seconds":7200,"application_seconds":null,"budget_bytes":null,"when_full":"thin","commit":null,"commit_after_seconds":null,"inherit":false},"plan_only":true,"expiry_ok":false}"#,
        ),
        (
            PointPin { machine: web(), point: sequence, until: None, note: "why".to_owned() }.into(),
            r#"{"request":"point_pin","machine":"web-01","point":{"sequence":812},"until":null,"note":"why"}"#,
        ),
        (
            PointUnpin { machine: web(), point: sequence }.into(),
            r#"{"request":"point_unpin","machine":"web-01","point":{"sequence":812}}"#,
        ),
        (
            ServerToken { role: wire::Role::Source, name: web() }.into(),
            r#"{"request":"server_token","role":"source","name":"web-01"}"#,
        ),
        (ServerList {}.into(), r#"{"request":"server_list"}"#),
        (
            ServerRevoke { name: web(), role: None, reason: String::new(), confirm: "web-01".to_owned() }
                .into(),
            r#"{"request":"server_revoke","name":"web-01","role":null,"reason":"","confirm":"web-01"}"#,
        ),
        (JobShow { id: JobId(4) }.into(), r#"{"request":"job_show","id":4}"#),
        (JobCancel { id: JobId(4) }.into(), r#"{"request":"job_cancel","id":4}"#),
        (
            JobStart { machine: web(), kind: JobWish::Scrub }.into(),
            r#"{"request":"job_start","machine":"web-01","kind":"scrub"}"#,
        ),
        (GroupList {}.into(), r#"{"request":"group_list"}"#),
        (GroupShow { name: shop() }.into(), r#"{"request":"group_show","name":"shop"}"#),
        (
            GroupCreate { name: shop(), machines: vec![web()], every_seconds: Some(900), hold_ms: None }
                .into(),
            r#"{"request":"group_create","name":"shop","machines":["web-01"],"every_seconds":900,"hold_ms":null}"#,
        ),
        (
            GroupAdd { name: shop(), machine: web() }.into(),
            r#"{"request":"group_add","name":"shop","machine":"web-01"}"#,
        ),
        (
            GroupRemove { name: shop(), machine: web() }.into(),
            r#"{"request":"group_remove","name":"shop","machine":"web-01"}"#,
        ),
        (
            GroupDelete { name: shop(), confirm: "shop".to_owned() }.into(),
            r#"{"request":"group_delete","name":"shop","confirm":"shop"}"#,
        ),
        (GroupPointMake { name: shop() }.into(), r#"{"request":"group_point_make","name":"shop"}"#),
        (GroupPointList { name: shop() }.into(), r#"{"request":"group_point_list","name":"shop"}"#),
        (
            GroupFailback { name: shop(), to: GroupTo::Number(7), plan_only: true, no_proof: false }.into(),
            r#"{"request":"group_failback","name":"shop","to":{"number":7},"plan_only":true,"no_proof":false}"#,
        ),
        (PreflightShow { machine: Some(web()) }.into(), r#"{"request":"preflight_show","machine":"web-01"}"#),
        (PlanList {}.into(), r#"{"request":"plan_list"}"#),
        (PlanShow { name: shop() }.into(), r#"{"request":"plan_show","name":"shop"}"#),
        (
            PlanCreate { name: shop(), steps: vec![PlanStep::Group { group: shop() }] }.into(),
            r#"{"request":"plan_create","name":"shop","steps":[{"kind":"group","group":"shop"}]}"#,
        ),
        (
            PlanDelete { name: shop(), confirm: "shop".to_owned() }.into(),
            r#"{"request":"plan_delete","name":"shop","confirm":"shop"}"#,
        ),
        (
            PlanRun { name: shop(), to: None, confirm: "shop".to_owned() }.into(),
            r#"{"request":"plan_run","name":"shop","to":null,"confirm":"shop"}"#,
        ),
        (PlanContinue { name: shop() }.into(), r#"{"request":"plan_continue","name":"shop"}"#),
        (PlanStop { name: shop() }.into(), r#"{"request":"plan_stop","name":"shop"}"#),
        (AlarmList { every: true }.into(), r#"{"request":"alarm_list","every":true}"#),
        (
            AlarmAck { kind: Some("rpo".to_owned()), subject: None }.into(),
            r#"{"request":"alarm_ack","kind":"rpo","subject":null}"#,
        ),
        (AlarmWatch { after: Some(7) }.into(), r#"{"request":"alarm_watch","after":7}"#),
        (
            AuditList { limit: 5, before: Some(80) }.into(),
            r#"{"request":"audit_list","limit":5,"before":80}"#,
        ),
        (
            AuditCheck { number: Some(3), hash: Some(HexHash::default()) }.into(),
            r#"{"request":"audit_check","number":3,"hash":"0000000000000000000000000000000000000000000000000000000000000000"}"#,
        ),
        (
            BackupMake { passphrase: Secret::new("correct horse".to_owned()) }.into(),
            r#"{"request":"backup_make","passphrase":"correct horse"}"#,
        ),
        (CatalogShow {}.into(), r#"{"request":"catalog_show"}"#),
        (
            CatalogRebuild { from: RebuildFrom::Copy, confirm: "home".to_owned() }.into(),
            r#"{"request":"catalog_rebuild","from":"copy","confirm":"home"}"#,
        ),
        (NetworkShow {}.into(), r#"{"request":"network_show"}"#),
        (
            NetworkTry { plan: plan() }.into(),
            r#"{"request":"network_try","plan":{"interfaces":[{"name":"eth0","ipv4":"automatic","ipv6":"off"}]}}"#,
        ),
        (NetworkKeep { opened: None }.into(), r#"{"request":"network_keep"}"#),
        (
            NetworkSet { plan: plan(), confirm: "network".to_owned() }.into(),
            r#"{"request":"network_set","plan":{"interfaces":[{"name":"eth0","ipv4":"automatic","ipv6":"off"}]},"confirm":"network"}"#,
        ),
        (PendingList {}.into(), r#"{"request":"pending_list"}"#),
        (PendingApprove { id: 7 }.into(), r#"{"request":"pending_approve","id":7}"#),
        (PendingCancel { id: 7 }.into(), r#"{"request":"pending_cancel","id":7}"#),
    ]
}

fn plan() -> netplan::Plan {
    let interfaces = vec![netplan::Interface::automatic("eth0".parse().unwrap())];
    netplan::Plan { interfaces, ..netplan::Plan::default() }
}

/// Returns the place of a request in the list.
fn place(request: &Request) -> usize {
    match request {
        Request::StatusShow(_) => 0,
        Request::MachineAdd(_) => 1,
        Request::MachineList(_) => 2,
        Request::MachineShow(_) => 3,
        Request::MachineRemove(_) => 4,
        Request::DiskList(_) => 5,
        Request::PointList(_) => 6,
        Request::Failback(_) => 7,
        Request::Commit(_) => 8,
        Request::Cancel(_) => 9,
        Request::PointVerify(_) => 10,
        Request::JobList(_) => 11,
        Request::JobWatch(_) => 12,
        Request::RetentionShow(_) => 13,
        Request::DiskEligible(_) => 14,
        Request::DiskWatch(_) => 15,
        Request::ManifestList(_) => 16,
        Request::RetentionScrub(_) => 17,
        Request::ManifestShow(_) => 18,
        Request::PointView(_) => 19,
        Request::ViewList(_) => 20,
        Request::ViewClose(_) => 21,
        Request::Reprotect(_) => 22,
        Request::RetentionPlan(_) => 23,
        Request::PolicyShow(_) => 24,
        Request::PolicySet(_) => 25,
        Request::PointPin(_) => 26,
        Request::PointUnpin(_) => 27,
        Request::ServerToken(_) => 28,
        Request::ServerList(_) => 29,
        Request::ServerRevoke(_) => 30,
        Request::JobShow(_) => 31,
        Request::JobCancel(_) => 32,
        Request::JobStart(_) => 33,
        Request::GroupList(_) => 34,
        Request::GroupShow(_) => 35,
        Request::GroupCreate(_) => 36,
        Request::GroupAdd(_) => 37,
        Request::GroupRemove(_) => 38,
        Request::GroupDelete(_) => 39,
        Request::GroupPointMake(_) => 40,
        Request::GroupPointList(_) => 41,
        Request::GroupFailback(_) => 42,
        Request::PreflightShow(_) => 43,
        Request::PlanList(_) => 44,
        Request::PlanShow(_) => 45,
        Request::PlanCreate(_) => 46,
        Request::PlanDelete(_) => 47,
        Request::PlanRun(_) => 48,
        Request::PlanContinue(_) => 49,
        Request::PlanStop(_) => 50,
        Request::AlarmList(_) => 51,
        Request::AlarmAck(_) => 52,
        Request::AlarmWatch(_) => 53,
        Request::AuditList(_) => 54,
        Request::AuditCheck(_) => 55,
        Request::BackupMake(_) => 56,
        Request::CatalogShow(_) => 57,
        Request::CatalogRebuild(_) => 58,
        Request::NetworkShow(_) => 59,
        Request::NetworkTry(_) => 60,
        Request::NetworkKeep(_) => 61,
        Request::NetworkSet(_) => 62,
        Request::PendingList(_) => 63,
        Request::PendingApprove(_) => 64,
        Request::PendingCancel(_) => 65,
    }
}

#[test]
fn every_request_is_written_and_read_as_it_was() {
    let all = all();
    assert!(all.iter().enumerate().all(|(index, (request, _))| place(request) == index));
    assert_eq!(all.len(), Request::KINDS.len(), "every kind is in the list");
    for (request, line) in all {
        assert_eq!(serde_json::to_string(&request).unwrap(), line);
        assert_eq!(decode_request(line.as_bytes()).unwrap(), request);
    }
}

#[test]
fn every_request_is_written_and_read_over_http_as_it_was() {
    for (request, _) in all() {
        let written = write_request(&request);
        let read = read_request(written.method.as_str(), &written.target, &written.body);
        assert_eq!(read.unwrap(), request, "{written:?}");
    }
}

#[test]
fn what_may_be_left_out_may_be_left_out() {
    for (short, long) in [
        (
            r#"{"request":"point_list","machine":"a"}"#,
            r#"{"request":"point_list","machine":"a","around":null,"limit":0}"#,
        ),
        (r#"{"request":"retention_show"}"#, r#"{"request":"retention_show","machine":null}"#),
        (
            r#"{"request":"failback","machine":"a","to":"latest"}"#,
            r#"{"request":"failback","machine":"a","to":"latest","plan_only":false,"inconsistent_ok":false}"#,
        ),
    ] {
        assert_eq!(
            decode_request(short.as_bytes()).unwrap(),
            decode_request(long.as_bytes()).unwrap(),
            "{short}"
        );
    }
}

#[test]
fn every_request_refuses_a_field_it_does_not_know() {
    for (_, line) in all() {
        let with_more = format!("{},\"surprise\":1}}", line.strip_suffix('}').unwrap());
        assert!(decode_request(with_more.as_bytes()).is_err(), "{with_more}");
    }
}

#[test]
fn no_request_panics_whatever_bit_flips_or_byte_is_missing() {
    for (request, line) in all() {
        for end in 0..line.len() {
            assert!(decode_request(&line.as_bytes()[..end]).is_err(), "{}", &line[..end]);
        }
        for bit in 0..line.len() * 8 {
            let mut flipped = line.as_bytes().to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // A flip may give another lawful request, such as another name; it never gives the same one, but for the case of a `T` or `Z`.
            if let Ok(other) = decode_request(&flipped) {
                let same_time = line.as_bytes()[bit / 8].is_ascii_uppercase();
                assert!(other != request || same_time, "{}", String::from_utf8_lossy(&flipped));
            }
        }
    }
}

/// `LANDFALL_BLESS=1` writes the document instead.
#[test]
fn the_document_is_what_follows_from_the_code() {
    let found = document();
    if std::env::var_os("LANDFALL_BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        return std::fs::write(path, found).unwrap();
    }
    assert!(DOCUMENT == found, "openapi.json is not of this code; LANDFALL_BLESS=1 writes it anew");
}
